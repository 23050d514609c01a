import Glibc

/// The central-limit approximation of Gaussian differential privacy (Bu, Dong, Long and Su, "Deep Learning with
/// Gaussian Differential Privacy", 2020): Poisson-subsampled Gaussian steps together behave about like one
/// Gaussian mechanism with mu^2 = sum of q^2 (exp(1 / sigma^2) - 1).
///
/// It is an approximation and can lie well *below* the true epsilon; no guarantee follows from it.
public struct GaussianApproximation: Hashable, Sendable {
    /// The distance of the two unit-variance normals that are as hard to tell apart as the run's outputs.
    public let mu: Double

    init(mu: Double) { self.mu = mu }

    public init(_ events: [PrivacyEvent]) {
        var squared = 0.0
        for event in events where event.count > 0 {
            switch event.mechanism {
            case .poissonSampledGaussian(let samplingRate, let noiseMultiplier):
                squared += Double(event.count) * Self.squaredMu(samplingRate, noiseMultiplier)
            case .truncatedPoissonSampledGaussian(let sampling, let noiseMultiplier):
                let truncated = sampling.probability
                squared +=
                    Double(event.count)
                    * ((1 - truncated) * Self.squaredMu(sampling.rate, noiseMultiplier)
                        + truncated * Self.squaredMu(sampling.rate, noiseMultiplier / 2))
            }
        }
        mu = squared.squareRoot()
    }

    private static func squaredMu(_ samplingRate: Double, _ noiseMultiplier: Double) -> Double {
        samplingRate == 0 ? 0 : samplingRate * samplingRate * expm1(1 / noiseMultiplier / noiseMultiplier)
    }

    /// delta of the limiting Gaussian mechanism (Balle and Wang 2018, theorem 8).
    ///
    /// - Precondition: `epsilon` is not negative.
    public func delta(epsilon: Double) -> PrivacyBound {
        precondition(epsilon >= 0, "epsilon is not negative")
        return PrivacyBound(epsilon: epsilon, delta: deltaValue(epsilon), isUpperBound: false)
    }

    /// epsilon of the limiting Gaussian mechanism.
    ///
    /// - Precondition: `delta` lies in 0...1.
    public func epsilon(delta: Double) -> PrivacyBound {
        precondition((0...1).contains(delta), "delta lies in 0...1")
        var bound = PrivacyBound(epsilon: 0, delta: delta, isUpperBound: false)
        if deltaValue(0) <= delta { return bound }
        guard delta > 0, mu.isFinite else {
            bound.epsilon = .infinity
            return bound
        }
        var (low, high) = (0.0, 1.0)
        while deltaValue(high) > delta {
            (low, high) = (high, 2 * high)
            if high == .infinity { break }
        }
        while high - low > 1e-14 * high {
            let middle = (low + high) / 2
            if middle <= low || middle >= high { break }
            if deltaValue(middle) > delta { low = middle } else { high = middle }
        }
        bound.epsilon = high
        return bound
    }

    private func deltaValue(_ epsilon: Double) -> Double {
        if mu == 0 { return 0 }
        if mu == .infinity { return 1 }
        let first = logNormalCDF(mu / 2 - epsilon / mu)
        let second = epsilon + logNormalCDF(-mu / 2 - epsilon / mu)
        return second < first ? exp(first) * -expm1(second - first) : 0
    }
}

/// log of the standard normal distribution function, also far into the lower tail.
func logNormalCDF(_ x: Double) -> Double {
    if x > -20 { return log(0.5 * erfc(-x / 2.0.squareRoot())) }
    // Mills' ratio as a continued fraction, evaluated from its tail: 1 / (x + 1 / (x + 2 / (x + 3 / ...))).
    var fraction = -x
    for k in stride(from: 12.0, to: 0, by: -1) { fraction = -x + k / fraction }
    return -x * x / 2 - 0.5 * log(2 * Double.pi) - log(fraction)
}
