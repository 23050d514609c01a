import Glibc

/// The exponential tilt under which a composition is computed, and the interval outside of which nothing of the tilted
/// distribution matters.
///
/// A tilt theta weights masses by exp(theta L). With w(theta) the largest value of exp(-theta y) (1 - exp(-y)),
///
///     delta(epsilon) <= exp(K(theta) - theta epsilon) w(theta)                             (1)
///
/// and errors of the tilted distribution count exp(K(theta) - theta epsilon) w(theta) at most. At the saddle point,
/// where (1) is smallest, it is a few times delta, so that rounding changes delta by a relative 1e-10 or so, however small
/// it is. Less tilt is enough for a delta that is not very small, and keeps large losses, which the saddle point's tilt
/// makes frequent, from widening the interval.
struct LossTilt {
    /// theta, positive.
    let theta: Double
    let interval: ClosedRange<Double>
    /// K'(theta), the tilted distribution's mean.
    let centre: Double
    /// The epsilon that the tilt is for.
    let epsilon: Double
    /// log of how much larger than delta the bound (1) is.
    let excess: Double
    /// The tilts at which Chernoff's bound shows that little lies below and above `interval`.
    let chernoff: (below: Double, above: Double)

    /// The tilt for a point of the curve.
    ///
    /// - Parameters:
    ///   - logDelta: delta at `epsilon`; nil to take it a hundredth of the bound (1).
    ///   - largestExcess: how large the excess may become by tilting less than the saddle point.
    init(epsilon: Double, logDelta: Double?, cumulants: LossCumulants, largestExcess: Double = 12) {
        self.epsilon = epsilon
        func logBound(_ theta: Double, _ cumulant: Double) -> Double {
            cumulant - theta * epsilon + Self.logWeight(theta)
        }
        let saddle = cumulants.minimize(logBound, of: { $0 })
        let logDelta = min(0, logDelta ?? saddle.value - 4.6)
        var best: (theta: Double, excess: Double, tails: Tails)?
        for share in [1, 0.8, 0.6, 0.4, 0.2, 0.1, 0.05] {
            let theta = share * saddle.theta
            let cumulant = cumulants.value(theta)
            let excess = max(0, logBound(theta, cumulant) - logDelta)
            if best != nil, excess > largestExcess { break }
            let tails = Tails(theta, cumulant, logTail: -20 - excess, cumulants)
            if best.map({ tails.width < $0.tails.width }) ?? true { best = (theta, excess, tails) }
        }
        theta = best!.theta
        excess = best!.excess
        interval = best!.tails.low...best!.tails.high
        chernoff = (best!.tails.below, best!.tails.above)
        centre = (cumulants.value(theta * 1.001) - cumulants.value(theta * 0.999)) / (0.002 * theta)
    }

    /// The tilt for the epsilon of a given delta, taken where (1) shows it to be at most.
    init(delta: Double, cumulants: LossCumulants) {
        let logDelta = log(delta)
        let bound = cumulants.minimize({ ($1 + Self.logWeight($0) - logDelta) / $0 }, of: { $0 }).value
        self.init(epsilon: max(0, bound), logDelta: logDelta, cumulants: cumulants)
    }

    /// log of the bound (1).
    func logDeltaBound(epsilon: Double, cumulants: LossCumulants) -> Double {
        min(0, cumulants.value(theta) - theta * epsilon + Self.logWeight(theta))
    }

    /// log w(theta).
    static func logWeight(_ theta: Double) -> Double { theta * log(theta / (1 + theta)) - log1p(theta) }

    /// Where no more than exp(logTail) of the tilted distribution lies below `low` and above `high`, by Chernoff's bound
    /// at the tilts `below` and `above`.
    private struct Tails {
        let low, high, below, above: Double

        var width: Double { high - low }

        init(_ theta: Double, _ cumulant: Double, logTail: Double, _ cumulants: LossCumulants) {
            let up = cumulants.minimize({ ($1 - cumulant - logTail) / $0 }, of: { theta + $0 })
            let down = cumulants.minimize({ ($1 - cumulant - logTail) / $0 }, of: { theta - $0 })
            (below, above) = (theta - down.theta, theta + up.theta)
            (low, high) = (min(-down.value, up.value), max(-down.value, up.value))
        }
    }
}
