import Glibc

/// Privacy loss distributions: epsilon from the numerical composition of a run's losses, enclosed from both sides.
///
/// The losses of a step are discretised twice, to ones at least and at most as revealing; the grid is refined until the
/// two bounds agree. Where the unit is removed and where it is added are composed separately, and the larger epsilon
/// counts. Events of different kinds compose freely.
public struct PrivacyLossAccountant: Hashable, Sendable {
    /// What encloses epsilon, or delta.
    public struct Bounds: Hashable, Sendable {
        /// No analysis of the same mechanism can prove less. For a truncated Poisson sample this holds of the losses that
        /// stand for it (see ``TruncatedPoissonSampling``).
        public var lower: Double
        /// What is guaranteed.
        public var upper: Double
    }

    private let events: [PrivacyEvent]
    /// Steps that are neither without effect nor without noise nor without sampling.
    private var sampled: [SampledStep: Int] = [:]
    /// Sum of 1 / sigma^2 over steps without sampling, which together are one Gaussian mechanism.
    private var gaussianPrecision = 0.0
    /// log of the probability that a unit is in no sum released without noise.
    private var logUnreleased = 0.0

    public init(_ events: [PrivacyEvent]) {
        self.events = events
        for event in events where event.count > 0 {
            switch event.mechanism {
            case .poissonSampledGaussian(let rate, let noise):
                if rate == 0 || noise == .infinity { continue }
                if noise == 0 {
                    logUnreleased += Double(event.count) * log1p(-rate)
                } else if rate == 1 {
                    gaussianPrecision += Double(event.count) / noise / noise
                } else {
                    add(rate, noise, truncated: 0, count: event.count)
                }
            case .truncatedPoissonSampledGaussian(let sampling, let noise):
                if sampling.rate == 0 || noise == .infinity { continue }
                if noise == 0 {
                    logUnreleased += Double(event.count) * log1p(-sampling.rate)
                } else {
                    add(sampling.rate, noise, truncated: sampling.probability, count: event.count)
                }
            }
        }
    }

    private mutating func add(_ rate: Double, _ noise: Double, truncated: Double, count: Int) {
        let loss = SampledGaussianLoss(samplingRate: rate, noiseMultiplier: noise)
        sampled[SampledStep(loss: loss, truncated: truncated), default: 0] += count
    }

    /// Epsilon at `delta`. The upper bound is no larger than what ``RenyiAccountant`` proves.
    ///
    /// - Parameter tolerance: the relative difference of the bounds at which refinement ends.
    /// - Precondition: `delta` lies in 0...1.
    public func epsilon(delta: Double, tolerance: Double = 4e-4) -> Bounds {
        precondition((0...1).contains(delta), "delta lies in 0...1")
        if logUnreleased < 0 {
            return Bounds(lower: -expm1(logUnreleased) <= delta ? 0 : .infinity, upper: delta == 1 ? 0 : .infinity)
        }
        if sampled.isEmpty {
            let epsilon = GaussianApproximation(mu: gaussianPrecision.squareRoot()).epsilon(delta: delta).epsilon
            return Bounds(lower: epsilon, upper: epsilon)
        }
        guard delta > 0, delta < 1 else {
            return delta == 1 ? Bounds(lower: 0, upper: 0) : Bounds(lower: .infinity, upper: .infinity)
        }
        if let step = onlyStep {
            let epsilon = step.epsilon(delta: delta)
            return Bounds(lower: epsilon, upper: epsilon)
        }
        let trusted = Bounds(lower: 0, upper: RenyiAccountant(events).epsilon(delta: delta).epsilon)
        guard isResolved else { return trusted }
        let rough = RoughCumulants(steps, tail: truncation(of: delta))
        return refined(
            trusted, tolerance, truncation(of: delta), rough, rough.map { LossTilt(delta: delta, cumulants: $0) },
            point: { $0.epsilon(delta: delta) },
            tilt: { LossTilt(epsilon: min($0, $1.epsilon), logDelta: log(delta), cumulants: $2, largestExcess: $3) })
    }

    /// Delta at `epsilon`. The upper bound is no larger than what ``RenyiAccountant`` proves.
    ///
    /// - Parameter tolerance: the relative difference of the bounds at which refinement ends.
    /// - Precondition: `epsilon` is finite and not negative.
    public func delta(epsilon: Double, tolerance: Double = 1e-3) -> Bounds {
        precondition(epsilon >= 0 && epsilon.isFinite, "epsilon is finite and not negative")
        if logUnreleased < 0 { return Bounds(lower: -expm1(logUnreleased), upper: 1) }
        if sampled.isEmpty {
            let delta = GaussianApproximation(mu: gaussianPrecision.squareRoot()).delta(epsilon: epsilon).delta
            return Bounds(lower: delta, upper: delta)
        }
        if let step = onlyStep {
            let delta = step.delta(epsilon: epsilon)
            return Bounds(lower: delta, upper: delta)
        }
        let trusted = Bounds(lower: 0, upper: RenyiAccountant(events).delta(epsilon: epsilon).delta)
        guard isResolved else { return trusted }
        let wide = RoughCumulants(steps, tail: 1e-280)
        let tilts = wide.map { LossTilt(epsilon: epsilon, logDelta: nil, cumulants: $0) }
        let logDelta = max(
            tilts.removing.logDeltaBound(epsilon: epsilon, cumulants: wide.removing),
            tilts.adding.logDeltaBound(epsilon: epsilon, cumulants: wide.adding))
        // The bound may be a thousand times the delta.
        let tail = truncation(of: exp(logDelta) * 1e-3)
        guard tail > 1e-280 else { return trusted }
        let rough = RoughCumulants(steps, tail: tail)
        return refined(
            trusted, tolerance, tail, rough, rough.map { LossTilt(epsilon: epsilon, logDelta: nil, cumulants: $0) },
            point: { $0.delta(epsilon: epsilon) },
            tilt: { LossTilt(epsilon: $1.epsilon, logDelta: log($0), cumulants: $2, largestExcess: $3) })
    }

    private var steps: [(step: SampledStep, count: Int)] {
        var steps = sampled.map { (step: $0.key, count: $0.value) }
        steps.sort {
            let (left, right) = ($0.step, $1.step)
            return (left.loss.noiseMultiplier, left.loss.samplingRate, left.truncated)
                < (right.loss.noiseMultiplier, right.loss.samplingRate, right.truncated)
        }
        if gaussianPrecision > 0 {
            let noise = 1 / gaussianPrecision.squareRoot()
            let loss = SampledGaussianLoss(samplingRate: 1, noiseMultiplier: noise)
            steps.append((SampledStep(loss: loss, truncated: 0), 1))
        }
        return steps
    }

    private var onlyStep: SampledGaussianLoss? {
        guard gaussianPrecision == 0, let (step, count) = sampled.first, sampled.count == 1, count == 1,
            step.truncated == 0
        else { return nil }
        return step.loss
    }

    /// Whether all noise is at least a hundredth of C. Losses with less are enormous, and their scale, sigma^2, so fine that
    /// neither grids nor quadrature would end; the bound by Renyi divergences is then all that is told.
    private var isResolved: Bool {
        steps.allSatisfy { step, _ in step.parts.allSatisfy { $0.loss.noiseMultiplier >= 0.01 } }
    }

    /// The mass that each step's losses may leave out so that all together change delta by 1e-9 of it.
    private func truncation(of delta: Double) -> Double {
        1e-9 * delta / Double(steps.reduce(0) { $0 + $1.count })
    }

    private static let firstSize = 1 << 12
    private static let largestSize = 1 << 21

    /// Composes on finer and finer grids until the bounds of both directions' larger value agree.
    private func refined(
        _ trusted: Bounds, _ tolerance: Double, _ tail: Double, _ rough: RoughCumulants, _ first: Tilts,
        point: (ComposedLosses) -> ComposedLosses.Point?, tilt: (Double, LossTilt, LossCumulants, Double) -> LossTilt
    ) -> Bounds {
        var bounds = trusted
        var tilts = first
        var size = Self.firstSize
        var isRepeated = false
        while true {
            let composition = LossComposition(count: size)
            let spacing = tilts.spacing(size: size)
            // One step may reach much further than what matters of all.
            guard steps.allSatisfy({ $0.step.width(tail: tail) < spacing * 0x1p24 }) else { return bounds }
            func points(_ side: ComposedLosses.Side) -> (
                removing: ComposedLosses.Point?, adding: ComposedLosses.Point?
            ) {
                let parts = steps.map { step in
                    LossComposition.Part(
                        losses: side == .upper
                            ? step.step.upperBound(spacing: spacing, tail: tail)
                            : step.step.lowerBound(spacing: spacing, tail: tail), count: step.count)
                }
                let composed = composition.compose(parts, side: side, tilts)
                return (point(composed.removing), point(composed.adding))
            }
            let upper = points(.upper)
            if let removing = upper.removing, removing.isProven, let adding = upper.adding, adding.isProven {
                bounds.upper = min(bounds.upper, max(removing.value, adding.value))
            }
            if size > Self.firstSize {
                let lower = points(.lower)
                for case .some(let point) in [lower.removing, lower.adding] where point.isProven {
                    bounds.lower = max(bounds.lower, point.value)
                }
            }
            let gap = bounds.upper == 0 ? 0 : (bounds.upper - bounds.lower) / bounds.upper
            if gap <= tolerance { return bounds }
            if size == Self.largestSize {
                // The finest grid is worth a second tilt if it showed nothing.
                if isRepeated || [upper.removing, upper.adding].allSatisfy({ $0?.isProven ?? false }) { return bounds }
                isRepeated = true
            }
            // Errors fall with the square of the spacing.
            let isKnown = bounds.upper < trusted.upper && bounds.lower > 0
            let doublings = isKnown ? Int((0.5 * log2(gap / tolerance)).rounded(.up)) : 1
            size = min(Self.largestSize, size << min(4, max(1, doublings)))
            func next(
                _ point: ComposedLosses.Point?, _ current: LossTilt, _ first: LossTilt, _ cumulants: LossCumulants
            )
                -> LossTilt
            {
                guard let point else { return first }
                // A direction far below the other needs no better bound.
                let larger = max(upper.removing?.value ?? 0, upper.adding?.value ?? 0)
                let isRounded = point.rounding > 0.05 * tolerance && point.value > 0.9 * larger
                if point.isProven, !isRounded { return current }
                return tilt(point.value, first, cumulants, isRounded ? current.excess / 2 : 12)
            }
            tilts = Tilts(
                removing: next(upper.removing, tilts.removing, first.removing, rough.removing),
                adding: next(upper.adding, tilts.adding, first.adding, rough.adding))
        }
    }
}

/// The tilts of both directions.
struct Tilts {
    let removing: LossTilt
    let adding: LossTilt

    /// The spacing at which a grid of `size` points covers the intervals and a little more.
    fileprivate func spacing(size: Int) -> Double {
        let width = max(
            removing.interval.upperBound - removing.interval.lowerBound,
            adding.interval.upperBound - adding.interval.lowerBound)
        return 1.05 * width / Double(size - 8)
    }
}

/// Cumulants of both directions by quadrature, exact enough to choose tilts and grids.
private struct RoughCumulants {
    private(set) var removing = LossCumulants()
    private(set) var adding = LossCumulants()

    init(_ steps: [(step: SampledStep, count: Int)], tail: Double) {
        for (step, count) in steps {
            var (ratios, u, v) = ([Double](), [Double](), [Double]())
            for (loss, logProbability) in step.parts {
                loss.forEachNode(loss.support(tail: tail)) { x, weight in
                    let ratio = loss.logRatio(x)
                    let logMass = logProbability + log(weight) + loss.logDensity(x)
                    ratios.append(ratio)
                    u.append(logMass)
                    v.append(logMass + ratio)
                }
            }
            removing.add(losses: ratios, logMasses: v, count: count)
            adding.add(losses: ratios.map { -$0 }, logMasses: u, count: count)
        }
    }

    func map(_ tilt: (LossCumulants) -> LossTilt) -> Tilts { Tilts(removing: tilt(removing), adding: tilt(adding)) }
}
