import ArgumentParser
import DPONNX

struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Trains with canaries and tells what epsilon cannot be below.",
        discussion: """
            One training run with the options of train (Steinke, Nasr and Jagielski 2023): canaries, records whose \
            gradient is one coordinate of length C, are put in or left out by coin flips, and guessed from all that the \
            steps release. So good guesses would be unlikely below the epsilon that is reported as a lower bound. Measured \
            directly beside it: how far single records, the data's and ones made to be hard to clip, move the clipped \
            sums, and strength and independence of the noise.

            The weights are not kept. Results are computed without noise: they are not covered by epsilon.

            Exit status 1 if the lower bound is above the claim, or a measurement contradicts it.

            Example: dponnx audit model.onnx --data train.npz --noise-multiplier 1 --delta 1e-5 --dataset-size 50000 \
            --batch-size 512 --steps 100
            """)

    @OptionGroup var model: ModelArguments
    @OptionGroup var data: DataArguments
    @OptionGroup(title: "What trains") var selection: SelectionArguments
    @OptionGroup(title: "Privacy") var privacy: PrivacyArguments
    @OptionGroup(title: "Clipping") var clipping: ClippingArguments
    @OptionGroup(title: "Clipping") var adaptive: AdaptiveClippingArguments
    @OptionGroup(title: "Optimization") var optimization: OptimizationArguments
    @OptionGroup(title: "Resources") var resources: ResourceArguments

    @Option(
        help: ArgumentHelp(
            "Number of canaries, half of which are put in; default: one per trained weight, 10000 or 0.1/delta at most.",
            valueName: "m"))
    var canaries: Int?

    @Option(help: ArgumentHelp("Confidence of the lower bound.", valueName: "p"))
    var confidence = 0.95

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        try privacy.checkStated(mode: clipping.clippingMode)
        guard clipping.clippingMode != .nonPrivate else {
            throw ValidationError("--clipping-mode non-private claims nothing that could be audited")
        }
        if let canaries, canaries < 1 { throw ValidationError("--canaries must be 1 or more") }
        guard confidence > 0, confidence < 1 else { throw ValidationError("--confidence must lie between 0 and 1") }
    }

    func run() throws { try reportingFailures { try audit() } }

    private func audit() throws {
        let setup = try TrainingSetup(
            model, data, selection, privacy, clipping, optimization, resources, adaptive: adaptive.request)
        let mechanism = setup.mechanism
        let generator = privacy.request.makeGenerator()
        let trainer = try setup.makeTrainer(generator)
        let weights = setup.parameters.names.reduce(0) { $0 + setup.parameters[$1].count }
        let delta = privacy.delta!
        var count = canaries ?? PrivacyAudit.defaultCount(parameters: weights, delta: delta)
        var rows = setup.data.sampleCount
        if mechanism.sampler.largestBatch != nil {
            // The analysis depends on the number of records, so canaries take the places of rows.
            if canaries == nil { count = min(count, max(1, mechanism.datasetSize / 2)) }
            guard count < mechanism.datasetSize else {
                throw UsageError(
                    "--canaries \(count) leave no room for rows among \(mechanism.datasetSize); choose fewer")
            }
            rows = min(rows, mechanism.datasetSize - count)
        }
        let audit = try PrivacyAudit(
            trainer, claim: mechanism, accountant: privacy.accountant, delta: delta, confidence: confidence,
            rowCount: rows, canaries: count, generator: generator.stream(.max))
        note("an audit reads the data and keeps no account: its results are not covered by epsilon")
        if count > weights { note("\(count) canaries share \(weights) weights, which makes them harder to tell apart") }
        var bar = ProgressBar(steps: mechanism.steps, showsDiagnostics: false) { _ in nil }
        for _ in 0..<mechanism.steps { bar.show(try audit.step()) }
        let result = try audit.result()
        if json { try printJSON(Report(result, self, count, mechanism)) } else { printText(result, mechanism) }
        if !result.failures.isEmpty { throw ExitCode(ExitStatus.checkFailed.rawValue) }
    }

    private struct Report: Encodable {
        var passed: Bool
        var epsilonLowerBound, claimedEpsilon, delta, confidence: Double
        var accountant: String
        var canaries, included, guesses, correct: Int
        var samplingRate, noiseMultiplier: Double
        var steps: Int
        /// In units of C.
        var largestContribution: Double
        var probedRecords: Int
        /// As a share of the claimed one.
        var noiseDeviation: Double?
        /// The same for adaptive clipping's counts.
        var countNoiseDeviation: Double?
        var failures: [String]
        var coveredByEpsilon = false

        init(_ result: PrivacyAudit.Result, _ command: AuditCommand, _ count: Int, _ mechanism: PrivacyMechanism) {
            passed = result.failures.isEmpty
            epsilonLowerBound = result.epsilonLowerBound
            claimedEpsilon = result.claimedEpsilon
            delta = command.privacy.delta!
            confidence = command.confidence
            accountant = command.privacy.accountant.rawValue
            canaries = count
            included = result.includedCount
            guesses = result.guesses.guesses
            correct = result.guesses.correct
            samplingRate = mechanism.sampler.samplingRate
            noiseMultiplier = mechanism.noiseMultiplier
            steps = mechanism.steps
            largestContribution = result.largestContribution
            probedRecords = result.probedRecords
            noiseDeviation = result.noiseDeviationShare
            countNoiseDeviation = result.countDeviationShare
            failures = result.failures
        }
    }

    private func printText(_ result: PrivacyAudit.Result, _ mechanism: PrivacyMechanism) {
        let guesses = result.guesses
        print("not covered by epsilon: computed from the data without noise")
        print(
            "claimed epsilon       \(fixed(result.claimedEpsilon, 4)) at delta \(privacy.delta!) (\(privacy.accountant.rawValue))"
        )
        print(
            "epsilon is at least   \(fixed(result.epsilonLowerBound, 4)) with confidence \(confidence): \(guesses.correct) of \(guesses.guesses) guesses right, \(guesses.canaries - guesses.guesses) canaries left open"
        )
        print(
            "longest contribution  \(fixed(result.largestContribution, 6)) C, of \(result.probedRecords) records before and after"
        )
        if let share = result.noiseDeviationShare {
            print("noise deviation       \(fixed(share, 4)) of the claimed")
        } else {
            print("noise deviation       not measured: too little noise")
        }
        if let share = result.countDeviationShare {
            print("noise on counts       \(fixed(share, 4)) of the claimed deviation")
        }
        for failure in result.failures { print("CONTRADICTED: \(failure)") }
        if result.failures.isEmpty { print("nothing contradicts the claim") }
    }
}
