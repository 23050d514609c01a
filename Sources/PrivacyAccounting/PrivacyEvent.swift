/// One kind of access to the data, and how often it happened. Lists of events compose.
public struct PrivacyEvent: Hashable, Sendable {
    /// The accesses whose privacy loss is known.
    public enum Mechanism: Hashable, Sendable {
        /// A sum over a Poisson sample, every term of L2 norm at most 1, plus Gaussian noise of standard deviation
        /// `noiseMultiplier` on every coordinate. With `samplingRate` 1 it is the plain Gaussian mechanism.
        case poissonSampledGaussian(samplingRate: Double, noiseMultiplier: Double)
        /// The same over a Poisson sample of limited size.
        case truncatedPoissonSampledGaussian(TruncatedPoissonSampling, noiseMultiplier: Double)
    }

    public var mechanism: Mechanism
    public var count: Int

    /// - Precondition: `count` is not negative.
    public init(_ mechanism: Mechanism, count: Int) {
        precondition(count >= 0, "an event happens zero or more times")
        self.mechanism = mechanism
        self.count = count
    }
}
