/// Private training whose caller drives the loop: it feeds batches, ends steps, and saves.
///
/// Epsilon holds for batches that `drawBatch` has drawn, stepped on in the order of drawing. A step on other rows is
/// taken, but counted, and from then on nothing is guaranteed: which rows were likely to be in it is not known here.
///
/// Not safe for use by several threads at once; sessions are independent of each other.
public final class TrainingSession {
    public let model: LoadedModel
    public let request: TrainingRequest
    /// Initializers that train, in the order of the file.
    public let trainable: [String]
    public let clipping: ClippingOptions
    /// Nil if the request does not say how private the training is to be.
    public let mechanism: PrivacyMechanism?
    /// Steps whose batches were not drawn here.
    public private(set) var foreignSteps = 0
    /// Sizes of batches drawn and not yet stepped on, oldest first.
    public private(set) var pendingDraws: [Int] = []
    public var stepCount: Int { trainer?.stepCount ?? 0 }
    /// Nil before the first batch.
    public private(set) var trainer: Trainer?

    private let pool: ThreadPool
    private let generator: any RandomGenerator
    private var drawing: BatchDrawing?
    private let record: TrainingRecord?
    private let options: TrainingOptions?
    /// Labels of the groups accumulated for the step under way.
    private var groups: Set<[UInt8]> = []
    private var shapes: [String: [Int]] = [:]
    /// Rows accumulated for the step under way.
    private var accumulated = 0
    private let parameters: ParameterMemory
    private var evaluation: (evaluator: Evaluator, shapes: [String: [Int]], tally: MetricsTally)?

    /// - Throws: `UsageError` or `SelectionError` if the request contradicts itself or the model, `ONNXFormatError` or
    ///   `GraphError` if the model cannot be read, `DataError` or `BudgetError` if the run cannot be recorded.
    public init(path: String, _ request: TrainingRequest) throws {
        try request.check()
        let unadapted = try LoadedModel(
            path: path, completes: request.untie, untie: request.untie, retie: request.retie)
        let (model, trainable) = try unadapted.adapted(
            by: request.adapters, areKept: request.keepsAdapters, beside: request.selection)
        try model.requireOutput(request.loss.logits)
        if case .output(let name) = request.loss.kind { try model.requireOutput(name) }
        (self.model, self.trainable, self.request) = (model, trainable, request)
        let clipping = try request.clipping(of: trainable)
        let mechanism = try request.mechanism(clipping: clipping)
        let values = model.graph.initializers.filter { trainable.contains($0.name) }
        let parameters = ParameterMemory(try values.map { ($0.name, try $0.load()) })
        options = mechanism.map { mechanism in
            let optimization = request.optimization
            return TrainingOptions(
                mechanism: mechanism, clipping: clipping, updateRule: optimization.rule,
                weightDecay: optimization.weightDecay, schedule: optimization.learningRates(steps: mechanism.steps),
                averageDecay: optimization.averageDecay, noiseFloor: optimization.noiseFloor)
        }
        try require(!request.record.isAsked || mechanism != nil, "--ledger and --checkpoint need a training to record")
        let sizes = parameters.names.map { "\($0) \(parameters[$0].count)" }
        record = try mechanism.flatMap { [options] mechanism in
            try request.record.open(
                mechanism, privacy: request.privacy,
                options: "\(options!) \(request.loss) \(request.optimization) \(sizes)")
        }
        (self.clipping, self.mechanism, self.parameters) = (clipping, mechanism, parameters)
        pool = ThreadPool(threads: request.threads ?? ThreadPool.availableProcessors)
        // A seed would repeat the noise of steps that a resumed run takes again.
        generator = request.privacy.makeGenerator().stream(UInt64(record?.charged ?? 0))
        drawing = mechanism.map { [generator] in BatchDrawing($0.sampler, generator.stream(0)) }
    }

    /// Whether the model can be trained privately, and if not, why.
    public func check() throws -> ModelCheck {
        try ModelCheck(
            model, trainable: trainable, options: request.inputs, output: request.loss.logits,
            clipping: clipping)
    }

    /// The planned mechanism.
    /// - Throws: `UsageError` if there is none.
    public func requireMechanism() throws(UsageError) -> PrivacyMechanism {
        guard let mechanism else {
            throw UsageError("say how private: --epsilon E --delta D, or --noise-multiplier S --delta D")
        }
        return mechanism
    }

    /// What the user should know of earlier runs on the data.
    public var recordNotes: [String] { record?.notes ?? [] }

    /// Steps that may still be taken: of a run that was resumed, those that were charged and lost are gone.
    public var stepsLeft: Int { record?.stepsLeft ?? mechanism.map { $0.steps - stepCount } ?? 0 }

    // MARK: Batches

    /// Draws the samples of the next logical batch, rows or groups of rows, ascending; it may be empty, and is then a step
    /// all the same.
    /// - Throws: `UsageError` if batches for all planned steps have been drawn.
    public func drawBatch() throws(UsageError) -> [Int] {
        let mechanism = try requireMechanism()
        guard pendingDraws.count < stepsLeft else {
            throw UsageError("batches for all \(mechanism.steps) planned steps have been drawn")
        }
        let rows = drawing!.next(of: request.rows ?? mechanism.datasetSize)
        pendingDraws.append(rows.count)
        return rows
    }

    /// Forgets batches that were drawn and not stepped on, say because a loader read ahead. They cost nothing.
    public func forgetDraws() { pendingDraws = [] }

    /// The arrays of a batch that model and loss read; rows lie on their first axes.
    /// - Parameter isGrouped: whether rows are grouped into samples, where the request says so.
    /// - Throws: `DataError` if one is missing or their first axes differ.
    public func batch(of arrays: [NamedArray], isGrouped: Bool = true) throws(DataError) -> DataSet {
        var keys = model.graph.inputs.map(\.name)
        let target = request.loss.targetType == nil ? nil : request.target
        if let target, !keys.contains(target) { keys.append(target) }
        var chosen: [NamedArray] = []
        for key in keys {
            guard let array = arrays.first(where: { $0.name == key }) else {
                throw DataError(
                    .mismatch, "the batch has no array '\(key)'; it has \(quotedList(arrays.map(\.name)))")
            }
            chosen.append(array)
        }
        guard isGrouped, let key = request.group?.key else { return try DataSet(arrays: chosen, targetKey: target) }
        guard let labels = arrays.first(where: { $0.name == key }) else {
            throw DataError(.mismatch, "the batch has no array '\(key)', by which its rows are grouped")
        }
        if !keys.contains(key) { chosen.append(labels) }
        return try DataSet(arrays: chosen, targetKey: target, groups: RowGroups(by: labels))
    }

    /// Compiles the step for samples shaped like those of `example`, whose values are not looked at.
    ///
    /// The first batch does this too; only a training whose first batches are empty needs it.
    /// - Throws: what `Trainer.init` throws; `DataError` if the ledger cannot be written.
    public func prepare(_ example: DataSet) throws {
        if trainer == nil { try makeTrainer(example) }
    }

    /// Adds rows to the logical batch of the step under way, in physical batches.
    /// - Throws: as `prepare`, and `DataError` for values or shapes that do not fit; the step's batch is then forgotten.
    public func accumulate(_ batch: DataSet) throws {
        try prepare(batch)
        do {
            try requireShapes(batch)
            try requireWholeGroups(batch)
            try trainer!.accumulate(Array(0..<batch.sampleCount), of: batch)
        } catch {
            discardBatch()
            throw error
        }
        accumulated += batch.sampleCount
    }

    /// A group in two parts would be clipped twice.
    private func requireWholeGroups(_ batch: DataSet) throws(DataError) {
        guard let found = batch.groups, let group = request.group else { return }
        let place = DataError.Place(array: group.key)
        guard found.largest <= group.largest else {
            throw DataError(
                .mismatch, "has a group of \(found.largest) rows, more than --largest-group \(group.largest)", at: place
            )
        }
        let labels = batch[group.key]
        let width = labels.rowElementCount * labels.type.byteCount
        for rows in found.rows {
            let label = labels.withUnsafeBytes { Array($0[rows[0] * width..<(rows[0] + 1) * width]) }
            guard groups.insert(label).inserted else {
                throw DataError(.mismatch, "has a group in two parts of one step; keep its rows together", at: place)
            }
        }
    }

    /// Forgets what the step under way has accumulated.
    public func discardBatch() {
        trainer?.discardBatch()
        accumulated = 0
        groups = []
    }

    /// Ends the step under way: charges it, adds noise once, moves the weights.
    ///
    /// Without rows accumulated it is a step of noise only, as an empty batch asks for.
    /// - Throws: `UsageError` if all planned steps have been taken, nothing was prepared, or the batch was not drawn here
    ///   although a ledger accounts for it; `DataError` if it cannot be charged. The step is then not taken.
    public func finishStep() throws -> Trainer.StepReport {
        let mechanism = try requireMechanism()
        guard let trainer else {
            throw UsageError("sizes are not known before the first batch; give an example to prepare with")
        }
        guard stepsLeft > 0 else {
            throw UsageError("all \(mechanism.steps) planned steps have been taken; plan more with --steps or --epochs")
        }
        let isDrawn = pendingDraws.first == accumulated
        if !isDrawn, record != nil {
            throw UsageError("what is recorded are batches that this session has drawn; this one was not")
        }
        let report = try trainer.finishStep()
        accumulated = 0
        groups = []
        if !isDrawn { foreignSteps += 1 }
        if !pendingDraws.isEmpty { pendingDraws.removeFirst() }
        return report
    }

    /// Writes a checkpoint of the last whole step, replacing the one before.
    /// - Throws: `UsageError` if none are kept; `DataError` if it cannot be written, the one before then stays.
    public func saveCheckpoint() throws {
        guard let record, request.record.folder != nil else {
            throw UsageError("no folder for checkpoints was given; open the session with --checkpoint")
        }
        if let trainer { try record.save(trainer) }
    }

    private func makeTrainer(_ batch: DataSet) throws {
        _ = try requireMechanism()
        let options = options!
        let example = try request.group?.example(batch) ?? batch
        let fitted = try model.trainable(
            trainable, for: example, request.inputs, dropout: .drawn(seed: request.privacy.seed))
        let expected = Int(options.mechanism.expectedBatchSize.rounded(.up))
        let physicalBatch = try PhysicalBatch(
            wished: request.physicalBatchSize, expectedBatchSize: expected, memoryLimit: request.memoryBytes,
            rememberedBytes: PhysicalBatch.rememberedBytes(options.mechanism, parameters: parameters), model: fitted,
            loss: request.loss, clipping: options.clipping, data: example, pool: pool)
        let made = try Trainer(
            fitted, loss: request.loss, options: options, data: example, physicalBatchSize: physicalBatch.rows,
            saving: physicalBatch.saving, parameters: parameters, generator: generator, pool: pool, record: record)
        try record?.restore(made)
        trainer = made
        shapes = Self.shapes(example)
    }

    private func requireShapes(_ batch: DataSet) throws(DataError) {
        for key in batch.keys where batch[key].rowShape != shapes[key] {
            throw DataError(
                .mismatch,
                "has samples of shape \(batch[key].rowShape) where the first batch had \(shapes[key] ?? []); bring all samples to one shape, by padding say",
                at: .init(array: key))
        }
    }

    private static func shapes(_ data: DataSet) -> [String: [Int]] {
        Dictionary(uniqueKeysWithValues: data.keys.map { ($0, data[$0].rowShape) })
    }

    // MARK: Results

    /// Adds rows to the evaluation under way, of the weights that `save` would write.
    /// - Throws: `GraphError` if the model does not fit the loss, `DataError` for values or shapes that do not fit.
    public func evaluate(_ batch: DataSet) throws {
        let shapes = Self.shapes(batch)
        if evaluation?.shapes != shapes {
            let tally = evaluation?.tally ?? MetricsTally(request.loss.kind)
            let fitted = try model.trainable(trainable, for: batch, request.inputs)
            let evaluator = try Evaluator(
                fitted, loss: request.loss, data: batch,
                batchSize: request.physicalBatchSize ?? trainer?.engine.batchSize ?? 64,
                parameters: exportedParameters(), pool: pool)
            evaluation = (evaluator, shapes, tally)
        }
        try evaluation!.evaluator.add(batch, to: &evaluation!.tally)
    }

    /// The metrics of all rows evaluated since the last call; computed without noise, so not covered by epsilon.
    public func finishEvaluation() -> Metrics {
        defer { evaluation = nil }
        return evaluation?.tally.metrics ?? Metrics()
    }

    private func exportedParameters() -> ParameterMemory {
        guard let trainer, request.optimization.averageDecay != nil else { return parameters }
        return ParameterMemory(
            trainer.weights().map { ($0.name, Constant($0.values, shape: trainer.engine.shape(of: $0.name))) })
    }

    /// The weights to export, row by row.
    public func weights() -> [(name: String, values: [Float])] {
        trainer?.weights() ?? parameters.names.map { ($0, Array(parameters[$0])) }
    }

    /// The same of one of `trainable`.
    /// - Throws: `UsageError` if the tensor does not train.
    public func weights(of name: String) throws(UsageError) -> [Float] {
        guard trainable.contains(name) else { throw UsageError("no trainable tensor is named '\(name)'") }
        return trainer?.weights(of: name) ?? Array(parameters[name])
    }

    /// The weights to export under the names, shapes and types of the program that the model was exported from.
    ///
    /// - Parameter reference: the state_dict that the model was exported from.
    /// - Throws: as `LoadedModel.state`.
    public func state(like reference: WeightFile) throws -> StateConversion {
        try model.state(weights(), like: reference)
    }

    /// Why nothing is guaranteed; empty if epsilon holds.
    public var reasonsNotPrivate: [String] {
        guard let mechanism else { return [] }
        var reasons = request.privacy.reasonsNotPrivate(mode: clipping.mode, mechanism: mechanism)
        if foreignSteps > 0 {
            reasons.append(
                "\(foreignSteps) of \(stepCount) steps took batches that the session had not drawn, so that no sampling rate is known"
            )
        }
        return reasons
    }

    /// What the steps taken so far cost at `delta`: an upper bound, infinite where nothing is guaranteed.
    ///
    /// If private data had a say in when to stop, what holds is the epsilon of all planned steps, which `save` states.
    /// - Throws: `UsageError` unless `delta` lies between 0 and 1.
    public func epsilon(delta: Double) throws(UsageError) -> Double {
        let mechanism = try requireMechanism()
        try require(delta > 0 && delta < 1, "delta must lie between 0 and 1")
        if (record?.charged ?? stepCount) == 0 { return 0 }
        guard reasonsNotPrivate.isEmpty else { return .infinity }
        let steps = record?.charged ?? stepCount
        return request.privacy.accountant.epsilon(of: [mechanism.event(steps: steps)], delta: delta).epsilon
    }

    /// The guarantee of all planned steps.
    /// - Throws: `UsageError` if there is no mechanism.
    public func statement() throws(UsageError) -> PrivacyStatement {
        PrivacyStatement(
            mechanism: try requireMechanism(), clippingFunction: clipping.function.name,
            clippingStyle: clipping.style.rawValue, accountant: request.privacy.accountant,
            delta: request.privacy.delta ?? 0, reasonsNotPrivate: reasonsNotPrivate)
    }

    /// Writes the model with its trained weights and the privacy statement.
    /// - Throws: `UsageError` if no step has been taken; `ONNXFormatError` if the file cannot be written.
    public func save(to path: String) throws {
        guard stepCount > 0 else { throw UsageError("no step has been taken, so there is nothing to save") }
        try model.refuseToOverwrite(path)
        try model.save(weights(), statement: try statement(), to: path, keepsAdapters: request.keepsAdapters)
    }
}
