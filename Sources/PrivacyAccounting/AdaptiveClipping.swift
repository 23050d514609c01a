import Glibc

/// Clipping to a quantile of the gradients' norms, which is followed with noisy counts (Andrew, Thakkar, McMahan and
/// Ramaswamy, "Differentially Private Learning with Adaptive Clipping", 2021).
///
/// With every sum of gradients the number of samples whose norm is at most C_t is released with noise, each sample counting
/// 1/2 or -1/2. Sum and count together are one Gaussian mechanism: scaled to unit noise a sample moves them by at most
/// sqrt(1 / z_g^2 + 1 / (2 sigma_b)^2) = 1 / z, where z is the noise multiplier that is accounted for.
public struct AdaptiveClipping: Hashable, Sendable {
    /// The share of samples whose gradients should not be scaled down, in 0...1.
    public let quantile: Double
    /// eta: log C_t moves by this much times the distance from the quantile.
    public let rate: Double
    /// sigma_b, the standard deviation of the noise on the count, in samples.
    public let countNoise: Double

    /// C_t stays in this range, whatever the noise.
    private static let range = 1e-9...1e9

    /// - Precondition: `quantile` lies in 0...1; `rate` and `countNoise` are positive and finite.
    public init(quantile: Double, rate: Double = 0.2, countNoise: Double) {
        precondition((0...1).contains(quantile), "a quantile lies in 0...1")
        precondition(rate > 0 && rate.isFinite, "a rate is positive and finite")
        precondition(countNoise > 0 && countNoise.isFinite, "noise is positive and finite")
        self.quantile = quantile
        self.rate = rate
        self.countNoise = countNoise
    }

    /// z_g = (z^-2 - (2 sigma_b)^-2)^(-1/2): the noise that is left for gradients if both together are to cost what noise
    /// multiplier z costs. Nil if the count alone costs as much, z >= 2 sigma_b, or all but a millionth.
    public func gradientNoiseMultiplier(together z: Double) -> Double? {
        if z == 0 { return 0 }
        let rest = 1 / (z * z) - 1 / (4 * countNoise * countNoise)
        return rest * z * z > 1e-6 ? 1 / rest.squareRoot() : nil
    }

    /// C_{t+1} = C_t exp(-eta (b - quantile)), where b is the noisy share of samples of norm C_t at most.
    ///
    /// - Parameter centredCount: the noisy sum of 1/2 or -1/2 per sample.
    public func nextNorm(after norm: Double, centredCount: Double, expectedBatchSize: Double) -> Double {
        let share = 0.5 + centredCount / expectedBatchSize
        let next = norm * exp(-rate * (share - quantile))
        return min(max(next, Self.range.lowerBound), Self.range.upperBound)
    }
}
