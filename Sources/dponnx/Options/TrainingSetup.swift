import DPONNX

/// A training as its options describe it, up to the point where it could begin.
struct TrainingSetup {
    let loaded: LoadedModel
    /// Parameters that train.
    let names: [String]
    /// With Dropout drawing masks where the model has it in training mode.
    let trainable: TrainableModel
    let loss: LossSpecification
    let data: DataSet
    var options: TrainingOptions
    let physicalBatch: PhysicalBatch
    let parameters: ParameterMemory
    let pool: ThreadPool

    var mechanism: PrivacyMechanism { options.mechanism }

    init(
        _ model: ModelArguments, _ data: DataArguments, _ selection: SelectionArguments, _ privacy: PrivacyArguments,
        _ clipping: ClippingArguments, _ optimization: OptimizationArguments, _ resources: ResourceArguments,
        adapters: AdapterArguments? = nil, adaptive: AdaptiveClippingRequest? = nil
    ) throws {
        var request = privacy.request
        request.adaptiveClipping = adaptive
        try request.check()
        pool = resources.makePool()
        let unadapted = try selection.load(model)
        (loaded, names) = try adapters?.apply(to: unadapted, selection) ?? (unadapted, selection.names(in: unadapted))
        loss = try data.specification(for: loaded)
        self.data = try data.load(for: loaded, model.inputOptions)
        let clipping = try clipping.options(for: names)
        trainable = try loaded.trainable(
            names, for: self.data, model.inputOptions, dropout: .drawn(seed: privacy.seed))
        let mechanism = try request.mechanism(
            samples: self.data.sampleCount, groupKey: self.data.groups?.key, clipping: clipping)
        options = TrainingOptions(
            mechanism: mechanism, clipping: clipping, updateRule: optimization.request.rule,
            weightDecay: optimization.weightDecay, schedule: optimization.request.learningRates(steps: mechanism.steps),
            averageDecay: optimization.ema, noiseFloor: optimization.request.noiseFloor)
        parameters = try trainable.makeParameters()
        physicalBatch = try PhysicalBatch(
            wished: resources.physicalBatchSize,
            expectedBatchSize: privacy.request.expectedBatchSize(samples: self.data.sampleCount),
            memoryLimit: resources.memoryBytes,
            rememberedBytes: PhysicalBatch.rememberedBytes(mechanism, parameters: parameters),
            model: trainable, loss: loss, clipping: options.clipping, data: self.data, pool: pool)
    }

    func makeTrainer(_ generator: any RandomGenerator, record: TrainingRecord? = nil) throws -> Trainer {
        try Trainer(
            trainable, loss: loss, options: options, data: data, physicalBatchSize: physicalBatch.rows,
            saving: physicalBatch.saving, parameters: parameters, generator: generator, pool: pool, record: record)
    }
}
