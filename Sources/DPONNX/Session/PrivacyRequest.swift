/// The privacy to reach and the sampling it is computed from, as a user states them.
public struct PrivacyRequest: Sendable, Hashable {
    public enum Sampler: String, Sendable, CaseIterable {
        case poisson
        case truncatedPoisson = "truncated-poisson"
        case full
    }

    /// How the noise of different steps is related.
    public enum Noise: String, Sendable, CaseIterable {
        /// Independent.
        case gaussian
        /// Correlated by banded matrix factorisation.
        case bandmf
    }

    /// Epsilon to reach; the noise is calibrated to it.
    public var epsilon: Double?
    public var delta: Double?
    /// sigma, in place of `epsilon`.
    public var noiseMultiplier: Double?
    /// N as declared; nil if the rows of the data are counted instead.
    public var datasetSize: Int?
    /// B, the expected batch; nil for 256, and for N with the full sampler.
    public var batchSize: Int?
    public var sampler = Sampler.poisson
    public var largestBatch: Int?
    public var noise = Noise.gaussian
    /// Bands of correlated noise; nil to choose.
    public var bands: Int?
    /// Passes over the data: steps = epochs N / B, rounded up; one if `steps` is nil too.
    public var epochs: Double?
    public var steps: Int?
    public var accountant = PrivacyAccountant.pld
    /// Repeats a run's sampling and noise, which are then not private.
    public var seed: UInt64?

    /// Whether C follows the gradients' norms.
    public var adaptiveClipping: AdaptiveClippingRequest?

    public init() {}

    /// Whether it is said how private a run is to be.
    public var isStated: Bool { epsilon != nil || noiseMultiplier != nil || delta != nil }

    /// - Throws: `UsageError` if a value is out of range or two contradict each other.
    public func check() throws(UsageError) {
        try require(epsilon.map { $0 > 0 && $0.isFinite }, "--epsilon must be positive and finite")
        try require(delta.map { $0 > 0 && $0 < 1 }, "--delta must lie between 0 and 1")
        try require(
            noiseMultiplier.map { $0 >= 0 && $0.isFinite }, "--noise-multiplier must be finite and not negative")
        try require(
            epsilon == nil || noiseMultiplier == nil,
            "give --epsilon or --noise-multiplier, not both: one follows from the other")
        try require(datasetSize.map { $0 > 0 }, "--dataset-size must be 1 or more")
        try require(batchSize.map { $0 > 0 }, "--batch-size must be 1 or more")
        try require(sampler != .full || batchSize == nil, "--sampler full takes all rows; leave --batch-size out")
        try require(
            (largestBatch != nil) == (sampler == .truncatedPoisson),
            "--sampler truncated-poisson and --largest-batch belong together")
        try require(largestBatch.map { $0 > 0 }, "--largest-batch must be 1 or more")
        try require(
            bands.map { $0 > 0 && noise == .bandmf },
            "--bands is a number of 1 or more that goes with --mechanism bandmf")
        try require(
            noise == .gaussian || sampler == .poisson,
            "--mechanism bandmf divides the rows and samples each part by itself; leave --sampler \(sampler.rawValue) out"
        )
        try require(
            noise == .gaussian || adaptiveClipping == nil,
            "--mechanism bandmf needs one C for all steps; leave --adaptive-clipping out")
        try require(epochs.map { $0 > 0 && $0.isFinite }, "--epochs must be positive")
        try require(steps.map { $0 > 0 }, "--steps must be 1 or more")
        try require(epochs == nil || steps == nil, "give --epochs or --steps, not both")
        try adaptiveClipping?.check()
    }

    /// - Throws: `UsageError` if it is not said how private the run is to be, or privacy is asked of a run without it.
    public func checkStated(mode: ClippingMode) throws(UsageError) {
        if mode == .nonPrivate {
            try require(
                noise == .gaussian, "--clipping-mode non-private adds no noise; leave --mechanism bandmf out")
            try require(
                !isStated,
                "--clipping-mode non-private adds no noise; leave --epsilon, --delta and --noise-multiplier out")
        } else {
            try require(
                epsilon != nil || noiseMultiplier != nil,
                "say how private: --epsilon E --delta D, or --noise-multiplier S --delta D")
            try require(delta != nil, "epsilon has no meaning without --delta")
        }
    }

    /// The expected batch size for data of so many samples.
    public func expectedBatchSize(samples: Int) -> Int {
        batchSize ?? (sampler == .full ? datasetSize ?? samples : 256)
    }

    /// The mechanism for data of so many samples: rows, or groups of rows of one value in the array `groupKey`.
    /// - Throws: `UsageError` if the batch is larger than the data set, the data larger than the sampler's analysis
    ///   allows for, or clipping does not go with the noise.
    public func mechanism(samples: Int, groupKey: String? = nil, clipping: ClippingOptions) throws(UsageError)
        -> PrivacyMechanism
    {
        let size = datasetSize ?? samples
        let batchSize = expectedBatchSize(samples: samples)
        try require(
            batchSize <= size,
            "--batch-size \(batchSize) exceeds the \(size) samples of the data set; choose a smaller one")
        let rate = Double(batchSize) / Double(size)
        let count = steps ?? Int(((epochs ?? 1) * Double(size) / Double(batchSize)).rounded(.up))
        let bands = noise == .gaussian ? nil : try self.bands(size / batchSize, rate: rate, steps: count)
        let batches: BatchSampler =
            switch sampler {
            case .poisson: bands.map { .cyclicPoisson(rate: rate, subsets: $0) } ?? .poisson(rate: rate)
            case .truncatedPoisson: .truncatedPoisson(rate: rate, largestBatch: largestBatch!)
            case .full: .full
            }
        try require(
            samples <= size || !batches.presumesDatasetSize,
            "the data have \(samples) \(groupKey == nil ? "rows" : "groups"), more than the declared \(size), which the analysis of --sampler \(sampler.rawValue) presumes; raise --dataset-size"
        )
        let isPrivate = clipping.mode != .nonPrivate
        var sigma = isPrivate ? noiseMultiplier ?? 0 : 0
        if let epsilon {
            sigma = accountant.noiseMultiplier(
                epsilon: epsilon, delta: delta!, sampler: batches, datasetSize: size, steps: count)
        }
        try require(
            !isPrivate || clipping.clippingNorm.isFinite || sigma == 0,
            "noise needs a finite --clip-norm; inf goes with --noise-multiplier 0")
        let adaptive = try adaptiveClipping?.clipping(
            clipping, noiseMultiplier: sigma, expectedBatchSize: rate * Double(size))
        return PrivacyMechanism(
            sampler: batches, clippingNorm: isPrivate ? clipping.clippingNorm : .infinity,
            noiseMultiplier: sigma, steps: count, datasetSize: size,
            adjacency: datasetSize == nil ? .zeroOut : .addOrRemoveOne,
            unit: groupKey.map(PrivacyMechanism.groupUnit) ?? PrivacyMechanism.rowUnit, adaptiveClipping: adaptive,
            bands: bands)
    }

    /// The bands of correlated noise for data of which one part in `most` is a batch.
    ///
    /// More bands cancel more noise, but a row's steps lie further apart, so that batches come from smaller parts and
    /// sampling hides less. Where epsilon is given, powers of two are compared by the error that is left.
    /// - Throws: `UsageError` if the parts would be smaller than a batch.
    private func bands(_ most: Int, rate: Double, steps: Int) throws(UsageError) -> Int {
        if let bands {
            try require(
                bands <= most,
                "--bands \(bands) divides the rows into parts that are smaller than a batch; take \(most) or fewer, or a smaller --batch-size"
            )
            return bands
        }
        let candidates = (0...5).map { 1 << $0 }.filter { $0 == 1 || ($0 <= most && $0 <= steps) }
        guard let epsilon, let delta else { return min(candidates.last!, 8) }
        func error(_ bands: Int) -> Double {
            // Fast, and about as much above the best at every number of bands.
            let sigma = PrivacyAccountant.rdp.noiseMultiplier(
                epsilon: epsilon, delta: delta, sampler: .cyclicPoisson(rate: rate, subsets: bands), datasetSize: 1,
                steps: steps)
            return sigma * sigma * BandedStrategy(bands: bands, steps: steps).meanSquaredError()
        }
        return candidates.map { ($0, error($0)) }.min { $0.1 < $1.1 }!.0
    }

    public func makeGenerator() -> any RandomGenerator {
        seed.map { SeededRandomGenerator(seed: $0) } ?? SecureRandomGenerator()
    }

    /// Why the result carries no guarantee.
    public func reasonsNotPrivate(mode: ClippingMode, mechanism: PrivacyMechanism) -> [String] {
        var reasons: [String] = []
        if mode == .nonPrivate { reasons.append("trained without clipping and noise") }
        if mode != .nonPrivate, mechanism.noiseMultiplier == 0 { reasons.append("trained without noise") }
        if seed != nil { reasons.append("sampling and noise can be repeated from a seed") }
        return reasons
    }
}

/// A condition on what was asked for; nil where nothing was.
func require(_ condition: Bool?, _ message: @autoclosure () -> String) throws(UsageError) {
    if condition == false { throw UsageError(message()) }
}
