import ArgumentParser
import DPONNX

struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Fine-tunes a model under differential privacy.",
        discussion: """
            Every step draws each sample with probability B/N (see --sampler), clips each sample's gradient to norm C, adds Gaussian noise \
            of standard deviation sigma C to their sum and divides by B. The output is the model with new weights and a \
            privacy statement in its metadata.

            Example: dponnx train model.onnx --data train.npz --epsilon 3 --delta 1e-5 --epochs 10 --batch-size 512 \
            --learning-rate 0.5 --dataset-size 50000 --output private.onnx
            """)

    @OptionGroup var model: ModelArguments
    @OptionGroup var data: DataArguments
    @OptionGroup(title: "What trains") var selection: SelectionArguments
    @OptionGroup(title: "Adapters") var adapters: AdapterArguments
    @OptionGroup(title: "Privacy") var privacy: PrivacyArguments
    @OptionGroup(title: "Clipping") var clipping: ClippingArguments
    @OptionGroup(title: "Clipping") var adaptive: AdaptiveClippingArguments
    @OptionGroup(title: "Optimization") var optimization: OptimizationArguments
    @OptionGroup(title: "Account and checkpoints") var record: RecordArguments
    @OptionGroup(title: "Diagnostics") var diagnostics: DiagnosticsArguments
    @OptionGroup(title: "Resources") var resources: ResourceArguments

    @Option(help: ArgumentHelp("The trained model.", valueName: "file"))
    var output: String

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        try privacy.checkStated(mode: clipping.clippingMode)
        if record.account.ledger != nil, privacy.seed != nil || clipping.clippingMode == .nonPrivate {
            throw ValidationError("a ledger accounts for private runs; leave --ledger, or --seed and non-private, out")
        }
        if privacy.noise == .bandmf, optimization.adamBiasCorrection {
            throw ValidationError(
                "--adam-bias-correction takes off the variance of independent noise; leave it or --mechanism bandmf out"
            )
        }
    }

    func run() throws { try reportingFailures { try train() } }

    private func train() throws {
        var setup = try TrainingSetup(
            model, data, selection, privacy, clipping, optimization, resources, adapters: adapters,
            adaptive: adaptive.request)
        let validationSet = try diagnostics.validation.map {
            try data.loadUngrouped($0, for: setup.loaded, model.inputOptions)
        }
        try setup.loaded.refuseToOverwrite(output)
        if let earlier = setup.loaded.earlierTrainingNote { warn(earlier) }

        let sizes = setup.parameters.names.map { "\($0) \(setup.parameters[$0].count)" }
        let description = "\(setup.options) \(setup.loss) \(sizes)"
        setup.options.mechanism = try self.record.resumed(setup.mechanism)
        let (mechanism, options) = (setup.mechanism, setup.options)
        let statement = PrivacyStatement(
            mechanism: mechanism, clippingFunction: options.clipping.function.name,
            clippingStyle: options.clipping.style.rawValue, accountant: privacy.accountant,
            delta: privacy.delta ?? 0,
            reasonsNotPrivate: privacy.request.reasonsNotPrivate(mode: options.clipping.mode, mechanism: mechanism))
        try requireWithinEpsilon(statement)
        let log = try diagnostics.openLog(statement, isResumed: self.record.resume)
        let record = try self.record.open(mechanism, data: setup.data, privacy: privacy, options: description)
        for line in record?.notes ?? [] { warn(line) }
        // A seed would repeat the noise of steps that a resumed run takes again.
        let trainer = try setup.makeTrainer(
            privacy.request.makeGenerator().stream(UInt64(record?.charged ?? 0)), record: record)
        try record?.restore(trainer)
        announce(trainer, statement, setup.data)
        if let record, self.record.resume { announce(record, trainer) }

        if let profile = diagnostics.profile {
            try writeTrace(trainer.engine.profile(Array(0..<setup.data.sampleCount)), to: profile)
        }

        let clock = ContinuousClock()
        let seconds = try clock.measure { try runSteps(trainer, statement, record, log) } / .seconds(1)
        try setup.loaded.save(
            trainer.weights(), statement: statement, to: output, keepsAdapters: adapters.keepAdapter)
        let metrics = try validationSet.map { try evaluate(trainer, setup, $0) }
        if let metrics { try log?.appendValidation(ValidationReport(metrics: MetricsReport(metrics))) }
        try report(trainer, statement, seconds, metrics)
    }

    /// A resumed run of correlated noise costs more than it was calibrated for.
    private func requireWithinEpsilon(_ statement: PrivacyStatement) throws(UsageError) {
        let mechanism = statement.mechanism
        guard let epsilon = privacy.epsilon, let bands = mechanism.bands, statement.bound.epsilon > epsilon else {
            return
        }
        throw UsageError(
            "correlated noise cannot be taken up again: going on is a further mechanism, which brings the run to epsilon \(statement.bound.epsilon); to accept that, resume with --noise-multiplier \(mechanism.noiseMultiplier) --bands \(bands) in place of --epsilon"
        )
    }

    private func announce(_ trainer: Trainer, _ statement: PrivacyStatement, _ set: DataSet) {
        if privacy.datasetSize == nil, clipping.clippingMode != .nonPrivate {
            warn(
                "N was counted from the file (\(set.sampleCount)): epsilon holds for N public and zero-out adjacency; "
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
                + "\(trainer.engine.batchSize) at once in \(trainer.peakBytes >> 20) MiB"
                + (trainer.engine.recomputedCount == 0
                    ? "" : " with \(trainer.engine.recomputedCount) activations computed twice")
                + (trainer.engine.step.saving.headBlock == nil ? "" : " with logits in blocks")
                + (mechanism.noiseMultiplier > 0 ? ", noise multiplier \(fixed(mechanism.noiseMultiplier, 4))" : ""))
        if let bands = mechanism.bands {
            note(
                "noise is correlated over \(bands) steps and charged as a whole: stopping early does not lower epsilon, and a resumed run costs a further mechanism"
            )
        }
    }

    private func announce(_ record: TrainingRecord, _ trainer: Trainer) {
        if trainer.options.mechanism.bands != nil {
            note(
                "resuming after step \(trainer.stepCount) with a further mechanism of \(record.stepsLeft) steps; \(record.charged) steps are charged in all"
            )
            return
        }
        let lost = record.charged - trainer.stepCount
        note("resuming after step \(trainer.stepCount)")
        if lost > 0 {
            note(
                "\(lost) steps after the last checkpoint were lost but have been charged, so the run ends after \(trainer.stepCount + record.stepsLeft) steps"
            )
        }
    }

    private func runSteps(
        _ trainer: Trainer, _ statement: PrivacyStatement, _ record: TrainingRecord?, _ log: RunLog?
    ) throws {
        let mechanism = statement.mechanism
        let spent = SpentEpsilon(statement)
        // The account covers lost steps, which the trainer does not count.
        let epsilon = { (step: Int) in spent.after(record?.charged ?? step) }
        var bar = ProgressBar(
            steps: mechanism.steps, showsDiagnostics: !diagnostics.noPrivateDiagnostics, epsilon: epsilon)
        let count = record?.stepsLeft ?? mechanism.steps
        Interruption.watch()
        var lastSaved = ContinuousClock.now
        for taken in stride(from: 1, through: count, by: 1) {
            let step = try trainer.step()
            bar.show(step)
            try log?.append(
                RunLog.Step(
                    step, epsilon: epsilon(step.step), withDiagnostics: !diagnostics.noPrivateDiagnostics))
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

    private func evaluate(_ trainer: Trainer, _ setup: TrainingSetup, _ set: DataSet) throws -> Metrics {
        let shapes = trainer.engine.parameters.names.map(trainer.engine.shape(of:))
        let weights = zip(trainer.weights(), shapes).map { (name: $0.name, value: Constant($0.values, shape: $1)) }
        return try Evaluator(
            setup.loaded.trainable(setup.names, for: set, model.inputOptions), loss: setup.loss, data: set,
            batchSize: trainer.engine.batchSize,
            parameters: ParameterMemory(weights), pool: setup.pool
        ).evaluate()
    }

    private struct Report: Encodable {
        var output: String
        var isPrivate: Bool
        var epsilon: Double?
        var delta: Double?
        var accountant: String
        var noiseMultiplier: Double
        var mechanism: String
        /// Of correlated noise.
        var bands: Int?
        var clipNorm: Double?
        /// C after the last step, with adaptive clipping.
        var adaptedClipNorm: Double?
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
                    mechanism: privacy.noise.rawValue, bands: mechanism.bands,
                    clipNorm: mechanism.clippingNorm.isFinite ? mechanism.clippingNorm : nil,
                    adaptedClipNorm: mechanism.adaptiveClipping == nil ? nil : trainer.clippingNorm,
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
            print("on \(diagnostics.validation!), \(RunLog.stamp):")
            print(MetricsReport(metrics).text)
        }
        print("wrote \(output)")
    }
}
