import Glibc

extension SampledGaussianLoss {
    /// Delta of a single step at `epsilon`, the larger of both directions, in closed form.
    func delta(epsilon: Double) -> Double {
        let x = position(epsilon)
        let sampled = log(samplingRate) + logNormalCDF((1 - x) / noiseMultiplier)
        let unsampled = log(expm1(epsilon) + samplingRate) + logNormalCDF(-x / noiseMultiplier)
        let removing = unsampled < sampled ? exp(sampled) * -expm1(unsampled - sampled) : 0
        let y = position(-epsilon)
        guard y > -.infinity else { return removing }
        let below = logLowerMass(y)
        return max(removing, exp(below.u) * max(0, -expm1(epsilon + below.ratio)))
    }

    /// The smallest epsilon of a single step at `delta`.
    func epsilon(delta: Double) -> Double {
        if self.delta(epsilon: 0) <= delta { return 0 }
        var (low, high) = (0.0, 1.0)
        while self.delta(epsilon: high) > delta {
            (low, high) = (high, 2 * high)
            if high == .infinity { return high }
        }
        while high - low > 1e-14 * high {
            let middle = (low + high) / 2
            if middle <= low || middle >= high { break }
            if self.delta(epsilon: middle) > delta { low = middle } else { high = middle }
        }
        return high
    }
}
