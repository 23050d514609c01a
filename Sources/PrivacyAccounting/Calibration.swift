import Glibc

extension PrivacyAccountant {
    /// How far below its target a calibrated epsilon may stay, relatively: bounds of privacy loss distributions are no
    /// tighter than a few times that, and each evaluation costs up to a second.
    private var precision: Double {
        switch self {
        case .pld: 1e-4
        case .rdp: 1e-6
        }
    }

    /// The noise multiplier that just reaches `epsilon`: about the smallest at which this accountant's epsilon is not
    /// above it.
    ///
    /// Epsilon at the result is never above the target and at most one part in 10^6 (`rdp`) or 10^4 (`pld`) below.
    /// Where even the least noise considered (1e-3) costs less than `epsilon`, that is returned; 0 when nothing is
    /// ever released (`samplingRate` 0 or no steps).
    ///
    /// - Precondition: `epsilon` is positive and finite, `delta` lies strictly between 0 and 1, `samplingRate` in
    ///   0...1, and `steps` is not negative.
    public func noiseMultiplier(epsilon: Double, delta: Double, samplingRate: Double, steps: Int) -> Double {
        // Without a limit to batches the number of rows does not matter.
        noiseMultiplier(
            epsilon: epsilon, delta: delta, sampler: .poisson(rate: samplingRate), datasetSize: 1, steps: steps)
    }

    /// The same for any way of drawing batches from `datasetSize` rows.
    public func noiseMultiplier(epsilon: Double, delta: Double, sampler: BatchSampler, datasetSize: Int, steps: Int)
        -> Double
    {
        precondition(epsilon > 0 && epsilon.isFinite, "the epsilon aimed at is positive and finite")
        precondition(delta > 0 && delta < 1, "delta lies strictly between 0 and 1")
        precondition((0...1).contains(sampler.samplingRate), "a sampling rate lies in 0...1")
        precondition(steps >= 0, "the number of steps is not negative")
        if sampler.samplingRate == 0 || steps == 0 { return 0 }
        func spent(_ noiseMultiplier: Double) -> Double {
            let event = sampler.event(datasetSize: datasetSize, noiseMultiplier: noiseMultiplier, count: steps)
            return self.epsilon(of: [event], delta: delta).epsilon
        }
        var start = 1.0
        if self == .pld {
            // Enough, and seldom much more than enough.
            start = PrivacyAccountant.rdp.noiseMultiplier(
                epsilon: epsilon, delta: delta, sampler: sampler, datasetSize: datasetSize, steps: steps)
        }
        return smallestArgument(of: spent, atMost: epsilon, startingAt: start, notBelow: 1e-3, precision: precision)
    }

    /// The largest number of steps whose epsilon is not above `epsilon`; 0 when one step already is,
    /// `Int.max` when no number of steps is (`samplingRate` 0, say).
    ///
    /// - Precondition: `epsilon` is not negative, `delta` lies strictly between 0 and 1, `samplingRate` in 0...1, and
    ///   `noiseMultiplier` is not negative.
    public func maximumSteps(epsilon: Double, delta: Double, samplingRate: Double, noiseMultiplier: Double) -> Int {
        precondition(epsilon >= 0, "the epsilon aimed at is not negative")
        precondition(delta > 0 && delta < 1, "delta lies strictly between 0 and 1")
        let spent: (Int) -> Double
        var (allowed, refused) = (0, 1)
        switch self {
        case .pld:
            // Divergences prove at least half as many steps.
            allowed = PrivacyAccountant.rdp.maximumSteps(
                epsilon: epsilon, delta: delta, samplingRate: samplingRate, noiseMultiplier: noiseMultiplier)
            if allowed == .max { return .max }
            refused = allowed + max(1, allowed / 2)
            spent = { steps in
                let event = PrivacyEvent(
                    .poissonSampledGaussian(samplingRate: samplingRate, noiseMultiplier: noiseMultiplier), count: steps)
                return self.epsilon(of: [event], delta: delta).epsilon
            }
        case .rdp:
            // Divergences are linear in the number of steps: one evaluation serves every candidate.
            let once = SampledGaussianDivergence(samplingRate: samplingRate, noiseMultiplier: noiseMultiplier)
                .divergences(orders: RenyiAccountant.defaultOrders)
            spent = { steps in
                var accountant = RenyiAccountant()
                if steps > 0 { accountant.add(once, times: steps) }
                return accountant.epsilon(delta: delta).epsilon
            }
        }
        while spent(refused) <= epsilon {
            allowed = refused
            if refused > Int.max / 2 { return .max }
            refused *= 2
        }
        while refused - allowed > 1 {
            let middle = allowed + (refused - allowed) / 2
            if spent(middle) <= epsilon { allowed = middle } else { refused = middle }
        }
        return allowed
    }
}

/// The smallest argument, to a relative `precision` of the value, at which a decreasing function is at most `target`.
///
/// The value at the result never exceeds `target`. Regula falsi on logarithms (Illinois variant), with bisection
/// where a value has no finite logarithm or the interval does not shrink.
private func smallestArgument(
    of function: (Double) -> Double, atMost target: Double, startingAt start: Double, notBelow floor: Double,
    precision: Double
) -> Double {
    func height(_ x: Double) -> Double { log(function(x) / target) }
    var (low, high) = (start, start)
    var (lowHeight, highHeight) = (height(start), height(start))
    while highHeight > 0 {
        (low, lowHeight) = (high, highHeight)
        high *= 2
        highHeight = height(high)
    }
    while lowHeight <= 0 {
        (high, highHeight) = (low, lowHeight)
        if low <= floor { return low }
        low = max(floor, low / 2)
        lowHeight = height(low)
    }
    var (lowWeight, highWeight) = (lowHeight, highHeight)
    var movedLow: Bool?
    var iteration = 0
    while highHeight < -precision, high > low * (1 + 0.1 * precision * precision) {
        iteration += 1
        let fraction = lowWeight / (lowWeight - highWeight)
        let bisects = !fraction.isFinite || iteration % 8 == 0
        let middle = low * exp(log(high / low) * (bisects ? 0.5 : fraction))
        guard middle > low, middle < high else { break }
        let middleHeight = height(middle)
        if middleHeight > 0 {
            (low, lowWeight) = (middle, middleHeight)
            highWeight = movedLow == true ? highWeight / 2 : highHeight
            movedLow = true
        } else {
            (high, highHeight, highWeight) = (middle, middleHeight, middleHeight)
            if movedLow == false { lowWeight /= 2 }
            movedLow = false
        }
    }
    return high
}
