/// How C follows the gradients' norms, as a user states it.
public struct AdaptiveClippingRequest: Sendable, Hashable {
    /// The share of gradients that should not be scaled down.
    public var quantile: Double
    /// Nil for 0.2.
    public var rate: Double?
    /// Standard deviation of the counts' noise, in samples; nil for B/20, or twice the noise multiplier if larger.
    public var countNoise: Double?

    public init(quantile: Double, rate: Double? = nil, countNoise: Double? = nil) {
        self.quantile = quantile
        self.rate = rate
        self.countNoise = countNoise
    }

    /// - Throws: `UsageError` if a value is out of range.
    public func check() throws(UsageError) {
        try require(quantile > 0 && quantile < 1, "--adaptive-clipping must lie between 0 and 1")
        try require(
            rate.map { $0 > 0 && $0 <= 100 }, "--adaptive-clipping-rate must be positive, and 100 at most")
        try require(countNoise.map { $0 > 0 && $0 <= 1e8 }, "--count-noise must be positive, and 1e8 at most")
    }

    /// - Throws: `UsageError` if there is no threshold that could follow the norms, or the counts alone would cost as much
    ///   as the whole step may.
    func clipping(_ options: ClippingOptions, noiseMultiplier: Double, expectedBatchSize: Double) throws(UsageError)
        -> AdaptiveClipping
    {
        try require(
            options.function == .abadi && options.mode != .nonPrivate,
            "--adaptive-clipping adapts the threshold of --clipping-function abadi, which is not in use")
        try require(
            options.style == .flat,
            "--adaptive-clipping follows norms of whole gradients; use --clipping-style flat")
        try require(
            options.clippingNorm.isFinite, "--adaptive-clipping needs a finite --clip-norm to begin with")
        let clipping = AdaptiveClipping(
            quantile: quantile, rate: rate ?? 0.2,
            countNoise: countNoise ?? max(expectedBatchSize / 20, 2 * noiseMultiplier))
        try require(
            clipping.gradientNoiseMultiplier(together: noiseMultiplier) != nil,
            "--count-noise \(clipping.countNoise) spends all that noise multiplier \(noiseMultiplier) allows; it must be more than half of that"
        )
        return clipping
    }
}
