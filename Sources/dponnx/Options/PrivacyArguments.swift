public import ArgumentParser
public import DPONNX

/// The privacy to reach and the sampling it is computed from.
struct PrivacyArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Epsilon to reach; the noise is calibrated to it.", valueName: "epsilon"))
    var epsilon: Double?

    @Option(help: ArgumentHelp("delta of (epsilon, delta); well below 1/N.", valueName: "delta"))
    var delta: Double?

    @Option(help: ArgumentHelp("Noise standard deviation in units of C, in place of --epsilon.", valueName: "sigma"))
    var noiseMultiplier: Double?

    @Option(
        help: ArgumentHelp(
            "Number of samples N as declared, from which sampling rate and steps derive; default: the file's rows.",
            valueName: "n"))
    var datasetSize: Int?

    @Option(
        help: ArgumentHelp(
            "Logical (expected) batch size B; the sampling rate is B/N. Default: 256, and N with --sampler full.",
            valueName: "b"))
    var batchSize: Int?

    @Option(
        help: """
            How batches are drawn: every row with probability B/N; the same, but at most --largest-batch rows; all rows.
            """)
    var sampler = SamplerName.poisson

    @Option(help: ArgumentHelp("Rows of a batch at most, with --sampler truncated-poisson.", valueName: "m"))
    var largestBatch: Int?

    @Option(help: ArgumentHelp("Passes over the data: steps = epochs N / B, rounded up.", valueName: "e"))
    var epochs: Double?

    @Option(help: ArgumentHelp("Number of updates, in place of --epochs.", valueName: "t"))
    var steps: Int?

    @Option(help: "The method that proves epsilon.")
    var accountant = PrivacyAccountant.pld

    @Option(
        help: ArgumentHelp(
            "Repeats a run's sampling and noise. NOT PRIVATE: whoever knows the seed can take the noise away.",
            valueName: "seed"))
    var seed: UInt64?

    enum SamplerName: String, ExpressibleByArgument, CaseIterable {
        case poisson
        case truncatedPoisson = "truncated-poisson"
        case full
    }

    func validate() throws {
        if let epsilon, !(epsilon > 0 && epsilon.isFinite) {
            throw ValidationError("--epsilon must be positive and finite")
        }
        if let delta, !(delta > 0 && delta < 1) { throw ValidationError("--delta must lie between 0 and 1") }
        if let noiseMultiplier, !(noiseMultiplier >= 0 && noiseMultiplier.isFinite) {
            throw ValidationError("--noise-multiplier must be finite and not negative")
        }
        if epsilon != nil, noiseMultiplier != nil {
            throw ValidationError("give --epsilon or --noise-multiplier, not both: one follows from the other")
        }
        if let datasetSize, datasetSize < 1 { throw ValidationError("--dataset-size must be 1 or more") }
        if let batchSize, batchSize < 1 { throw ValidationError("--batch-size must be 1 or more") }
        if sampler == .full, batchSize != nil {
            throw ValidationError("--sampler full takes all rows; leave --batch-size out")
        }
        guard (largestBatch != nil) == (sampler == .truncatedPoisson) else {
            throw ValidationError("--sampler truncated-poisson and --largest-batch belong together")
        }
        if let largestBatch, largestBatch < 1 { throw ValidationError("--largest-batch must be 1 or more") }
        if let epochs, !(epochs > 0 && epochs.isFinite) { throw ValidationError("--epochs must be positive") }
        if let steps, steps < 1 { throw ValidationError("--steps must be 1 or more") }
        if epochs != nil, steps != nil { throw ValidationError("give --epochs or --steps, not both") }
    }

    /// - Throws: `ValidationError` if it is not said how private the run is to be.
    func checkStated(mode: ClippingMode) throws {
        if mode == .nonPrivate {
            guard epsilon == nil, noiseMultiplier == nil, delta == nil else {
                throw ValidationError(
                    "--clipping-mode non-private adds no noise; leave --epsilon, --delta and --noise-multiplier out")
            }
        } else {
            guard epsilon != nil || noiseMultiplier != nil else {
                throw ValidationError("say how private: --epsilon E --delta D, or --noise-multiplier S --delta D")
            }
            guard delta != nil else { throw ValidationError("epsilon has no meaning without --delta") }
        }
    }

    /// The expected batch size for a data file of `rows` rows.
    func expectedBatchSize(rows: Int) -> Int { batchSize ?? (sampler == .full ? datasetSize ?? rows : 256) }

    /// The mechanism for a data file of `rows` rows.
    /// - Throws: `UsageError` if the batch is larger than the data set, or the file larger than the sampler's analysis
    ///   allows for.
    func mechanism(rows: Int, clipping: ClippingOptions) throws -> PrivacyMechanism {
        let size = datasetSize ?? rows
        let batchSize = expectedBatchSize(rows: rows)
        guard batchSize <= size else {
            throw UsageError(
                "--batch-size \(batchSize) exceeds the \(size) samples of the data set; choose a smaller one")
        }
        let rate = Double(batchSize) / Double(size)
        let batches: BatchSampler =
            switch sampler {
            case .poisson: .poisson(rate: rate)
            case .truncatedPoisson: .truncatedPoisson(rate: rate, largestBatch: largestBatch!)
            case .full: .full
            }
        guard rows <= size || !batches.presumesDatasetSize else {
            throw UsageError(
                "the data have \(rows) rows, more than the declared \(size), which the analysis of --sampler \(sampler.rawValue) presumes; raise --dataset-size"
            )
        }
        let count = steps ?? Int(((epochs ?? 1) * Double(size) / Double(batchSize)).rounded(.up))
        let isPrivate = clipping.mode != .nonPrivate
        var sigma = isPrivate ? noiseMultiplier ?? 0 : 0
        if let epsilon {
            sigma = accountant.noiseMultiplier(
                epsilon: epsilon, delta: delta!, sampler: batches, datasetSize: size, steps: count)
        }
        return PrivacyMechanism(
            sampler: batches, clippingNorm: isPrivate ? clipping.clippingNorm : .infinity,
            noiseMultiplier: sigma, steps: count, datasetSize: size,
            adjacency: datasetSize == nil ? .zeroOut : .addOrRemoveOne)
    }

    func makeGenerator() -> any RandomGenerator {
        seed.map { SeededRandomGenerator(seed: $0) } ?? SecureRandomGenerator()
    }

    /// Why the result carries no guarantee.
    func reasonsNotPrivate(mode: ClippingMode, mechanism: PrivacyMechanism) -> [String] {
        var reasons: [String] = []
        if mode == .nonPrivate { reasons.append("trained without clipping and noise") }
        if mode != .nonPrivate, mechanism.noiseMultiplier == 0 { reasons.append("trained without noise") }
        if seed != nil { reasons.append("sampling and noise can be repeated from a seed") }
        return reasons
    }
}

extension PrivacyAccountant: ExpressibleByArgument {}
