import ArgumentParser
import DPONNX

struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Fine-tunes a model under differential privacy.",
        discussion: """
            Every step draws each row with probability B/N (see --sampler), clips each sample's gradient to norm C, adds Gaussian noise \
            of standard deviation sigma C to their sum and divides by B. The output is the model with new weights and a \
            privacy statement in its metadata.

            Example: dponnx train model.onnx --data train.npz --epsilon 3 --delta 1e-5 --epochs 10 --batch-size 512 \
            --learning-rate 0.5 --dataset-size 50000 --output private.onnx
            """)

    @OptionGroup var model: ModelArguments
    @OptionGroup var data: DataArguments
    @OptionGroup(title: "What trains") var selection: SelectionArguments
    @OptionGroup(title: "Privacy") var privacy: PrivacyArguments
    @OptionGroup(title: "Clipping") var clipping: ClippingArguments
    @OptionGroup(title: "Optimization") var optimization: OptimizationArguments
    @OptionGroup(title: "Account and checkpoints") var record: RecordArguments
    @OptionGroup(title: "Resources") var resources: ResourceArguments

    @Option(help: ArgumentHelp("The trained model.", valueName: "file"))
    var output: String

    @Option(
        help: ArgumentHelp(
            "Data to evaluate the trained model on; results are not covered by epsilon.", valueName: "file"))
    var validation: String?

    @Flag(help: "Leave out what is computed without noise: losses, clipped shares, counts.")
    var noPrivateDiagnostics = false

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        try privacy.checkStated(mode: clipping.clippingMode)
        if record.ledger != nil, privacy.seed != nil || clipping.clippingMode == .nonPrivate {
            throw ValidationError("a ledger accounts for private runs; leave --ledger, or --seed and non-private, out")
        }
        if noPrivateDiagnostics, validation != nil {
            throw ValidationError("--validation is a private diagnostic; leave it or --no-private-diagnostics out")
        }
    }

    func run() throws { try reportingFailures { try train() } }

    private func train() throws {
        let pool = resources.makePool()
        let loaded = try selection.load(model)
        let loss = try data.specification(for: loaded)
        let set = try data.load(for: loaded, model.inputOptions)
        let validationSet = try validation.map { try data.load($0, for: loaded, model.inputOptions) }
        let names = try selection.names(in: loaded)
        let clipping = try self.clipping.options(for: names)
        let trainable = try loaded.trainable(
            names, for: set, model.inputOptions, dropout: .drawn(seed: privacy.seed))
        try loaded.refuseToOverwrite(output)
        if let earlier = loaded.earlierTrainingNote { warn(earlier) }

        let mechanism = try privacy.request.mechanism(rows: set.count, clipping: clipping)
        let options = TrainingOptions(
            mechanism: mechanism, clipping: clipping, updateRule: optimization.request.rule,
            weightDecay: optimization.weightDecay, schedule: optimization.request.learningRates(steps: mechanism.steps),
            averageDecay: optimization.ema)
        let batchSize = try PhysicalBatch.size(
            wished: resources.physicalBatchSize, expectedBatchSize: privacy.request.expectedBatchSize(rows: set.count),
            memoryLimit: resources.memoryBytes, model: trainable, loss: loss, clipping: options.clipping, data: set,
            pool: pool)
        let parameters = ParameterMemory(try trainable.initialValues())
        let sizes = parameters.names.map { "\($0) \(parameters[$0].count)" }
        let record = try self.record.open(mechanism, options: "\(options) \(loss) \(sizes)")
        // A seed would repeat the noise of steps that a resumed run takes again.
        let generator = privacy.request.makeGenerator().stream(UInt64(record?.charged ?? 0))
        let trainer = try Trainer(
            trainable, loss: loss, options: options, data: set, physicalBatchSize: batchSize, parameters: parameters,
            generator: generator, pool: pool, record: record)
        try record?.restore(trainer)
        let statement = PrivacyStatement(
            mechanism: mechanism, clippingFunction: options.clipping.function.name,
            clippingStyle: options.clipping.style.rawValue, accountant: privacy.accountant,
            delta: privacy.delta ?? 0,
            reasonsNotPrivate: privacy.request.reasonsNotPrivate(mode: options.clipping.mode, mechanism: mechanism))
        announce(trainer, statement, set)
        if let record, self.record.resume { announce(record, trainer) }

        let clock = ContinuousClock()
        let seconds = try clock.measure { try runSteps(trainer, statement, record) } / .seconds(1)
        try loaded.save(trainer.weights(), statement: statement, to: output)
        let metrics = try validationSet.map { set in
            try evaluate(trainer, loaded.trainable(names, for: set, model.inputOptions), loss, set, pool)
        }
        try report(trainer, statement, seconds, metrics)
    }

    private func announce(_ trainer: Trainer, _ statement: PrivacyStatement, _ set: DataSet) {
        if privacy.datasetSize == nil, clipping.clippingMode != .nonPrivate {
            warn(
                "N was counted from the file (\(set.count)): epsilon holds for N public and zero-out adjacency; "
                    + "declare N with --dataset-size")
        }
        for reason in statement.reasonsNotPrivate { warn("NOT PRIVATE: \(reason)") }
        if let delta = privacy.delta, delta * Double(statement.mechanism.datasetSize) >= 1 {
            warn("delta is not below 1/N; such a guarantee lets whole records be published")
        }
        for name in trainer.engine.step.unreached {
            note("parameter '\(name)' does not reach the loss and stays as it is")
        }
        let mechanism = statement.mechanism
        note(
            "\(mechanism.steps) steps, expected batch \(fixed(mechanism.expectedBatchSize, 0)) of \(mechanism.datasetSize), "
                + "\(trainer.engine.batchSize) at once in \(trainer.engine.peakBytes >> 20) MiB"
                + (mechanism.noiseMultiplier > 0 ? ", noise multiplier \(fixed(mechanism.noiseMultiplier, 4))" : ""))
    }

    private func announce(_ record: TrainingRecord, _ trainer: Trainer) {
        let lost = record.charged - trainer.stepCount
        note("resuming after step \(trainer.stepCount)")
        if lost > 0 {
            note(
                "\(lost) steps after the last checkpoint were lost but have been charged, so the run ends after \(trainer.stepCount + record.stepsLeft) steps"
            )
        }
    }

    private func runSteps(_ trainer: Trainer, _ statement: PrivacyStatement, _ record: TrainingRecord?) throws {
        let mechanism = statement.mechanism
        let spent = SpentEpsilon(statement)
        var bar = ProgressBar(
            steps: mechanism.steps, showsDiagnostics: !noPrivateDiagnostics, epsilon: spent.after)
        let count = record?.stepsLeft ?? mechanism.steps
        Interruption.watch()
        var lastSaved = ContinuousClock.now
        for taken in stride(from: 1, through: count, by: 1) {
            bar.show(try trainer.step())
            let isDue = self.record.checkpointSteps.map { taken % $0 == 0 } ?? (.now - lastSaved > .seconds(300))
            let signal = Interruption.received
            if isDue || signal != nil || taken == count {
                try record?.save(trainer)
                lastSaved = .now
            }
            if let signal, taken < count {
                note(
                    self.record.checkpoint == nil
                        ? "stopped after step \(trainer.stepCount); nothing is written without --checkpoint"
                        : "stopped after step \(trainer.stepCount); go on with --resume")
                throw ExitCode(128 + signal)
            }
        }
    }

    private func evaluate(
        _ trainer: Trainer, _ model: TrainableModel, _ loss: LossSpecification, _ set: DataSet, _ pool: ThreadPool
    ) throws -> Metrics {
        let shapes = trainer.engine.parameters.names.map(trainer.engine.shape(of:))
        let weights = zip(trainer.weights(), shapes).map { (name: $0.name, value: Constant($0.values, shape: $1)) }
        return try Evaluator(
            model, loss: loss, data: set, batchSize: trainer.engine.batchSize, parameters: ParameterMemory(weights),
            pool: pool
        ).evaluate()
    }

    private struct Report: Encodable {
        var output: String
        var isPrivate: Bool
        var epsilon: Double?
        var delta: Double?
        var accountant: String
        var noiseMultiplier: Double
        var clipNorm: Double?
        var samplingRate: Double
        var datasetSize: Int
        var batchSize: Double
        var physicalBatchSize: Int
        var steps: Int
        var parameters: Int
        var seconds: Double
        var validation: MetricsReport?
    }

    private func report(_ trainer: Trainer, _ statement: PrivacyStatement, _ seconds: Double, _ metrics: Metrics?)
        throws
    {
        let mechanism = statement.mechanism
        let names = trainer.engine.parameters.names
        if json {
            try printJSON(
                Report(
                    output: output, isPrivate: statement.isPrivate,
                    epsilon: statement.isPrivate ? statement.bound.epsilon : nil, delta: privacy.delta,
                    accountant: statement.accountant.rawValue, noiseMultiplier: mechanism.noiseMultiplier,
                    clipNorm: mechanism.clippingNorm.isFinite ? mechanism.clippingNorm : nil,
                    samplingRate: mechanism.sampler.samplingRate, datasetSize: mechanism.datasetSize,
                    batchSize: mechanism.expectedBatchSize, physicalBatchSize: trainer.engine.batchSize,
                    steps: mechanism.steps,
                    parameters: names.reduce(0) { $0 + trainer.engine.parameters[$1].count }, seconds: seconds,
                    validation: metrics.map { MetricsReport($0) }))
            return
        }
        if statement.isPrivate {
            print(
                "epsilon \(fixed(statement.bound.epsilon, 4)) at delta \(statement.bound.delta) (\(statement.accountant.rawValue))"
            )
        } else {
            print("NOT PRIVATE: \(statement.reasonsNotPrivate.joined(separator: "; "))")
        }
        if let metrics {
            print("on \(validation!), not covered by epsilon:")
            print(MetricsReport(metrics).text)
        }
        print("wrote \(output)")
    }
}
