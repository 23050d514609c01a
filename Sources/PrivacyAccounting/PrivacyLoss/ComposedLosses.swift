import Glibc

/// The composition's distribution of loss about one tail, on a grid.
///
/// `weights[k]` is the mass at `firstLoss + k * spacing` times exp(theta loss - K), theta being the tilt: numbers that
/// add up to 1 and are largest where epsilon is expected. A transform's rounding is relative to them, hence to the
/// delta looked for, however small.
struct ComposedLosses {
    enum Side { case upper, lower }

    /// A point of the curve of epsilon and delta.
    struct Point {
        let value: Double
        /// False if the grid does not show the point; `value` is then only nearer to it.
        let isProven: Bool
        /// Share of delta that rounding may make up.
        var rounding = 0.0
    }

    let side: Side
    let theta: Double
    /// K(theta) of the discretised steps.
    let cumulant: Double
    /// The tilted distribution's mean.
    let centre: Double
    let firstLoss: Double
    let spacing: Double
    let weights: [Double]
    /// What a weight may be wrong by.
    let rounding: Double
    /// Tilted mass that may lie outside the grid.
    let outside: Double
    /// Mass at infinity.
    let infinite: Double

    /// The share of delta given away for the errors of quadrature and truncation.
    private static let margin = 1e-6

    /// Epsilon at `delta`, not smaller (upper side) or not larger (lower side) than that of the true losses; nil if the
    /// grid ends above it.
    func epsilon(delta: Double) -> Point? {
        let target = side == .upper ? delta * (1 - Self.margin) - infinite : delta * (1 + Self.margin)
        guard target > 0 else { return Point(value: .infinity, isProven: true) }
        let scaled = exp(log(target) - logScale)
        var sums = TailSums()
        for position in weights.indices.reversed() {
            let loss = firstLoss + Double(position) * spacing
            if loss <= 0 { return Point(value: 0, isProven: isPrecise(at: 0, delta: delta)) }
            add(position, loss, to: &sums)
            let next = max(0, loss - spacing)
            let plain = sums.plain + error(sums)
            if plain - exp(next - loss) * sums.discounted >= scaled {
                let solution = loss + log((plain - scaled) / sums.discounted)
                let epsilon = max(next, min(loss, solution))
                return Point(
                    value: epsilon, isProven: isPrecise(at: epsilon, delta: delta), rounding: abs(error(sums)) / scaled)
            }
        }
        return nil
    }

    /// Delta at `epsilon`, not smaller (upper side) or not larger (lower side) than that of the true losses; nil if the
    /// grid ends above epsilon.
    func delta(epsilon: Double) -> Point? {
        var sums = TailSums()
        var loss = Double.infinity
        for position in weights.indices.reversed() {
            let next = firstLoss + Double(position) * spacing
            if next <= epsilon {
                let exact = sums.plain - exp(epsilon - loss) * sums.discounted
                let difference = exact + error(sums)
                let rounding = exact > 0 ? abs(error(sums)) / exact : 1
                let found = difference > 0 ? exp(logScale + log(difference)) : 0
                let isProven = isPrecise(at: epsilon, delta: found)
                return side == .lower
                    ? Point(value: found * (1 - Self.margin), isProven: isProven, rounding: rounding)
                    : Point(
                        value: min(1, found * (1 + Self.margin) + infinite), isProven: isProven, rounding: rounding)
            }
            loss = next
            add(position, loss, to: &sums)
        }
        return nil
    }

    /// Over losses y from x on, sums of w exp(-theta (y - c)) and of w exp(-theta (y - c) + x - y), c being the centre.
    /// For epsilon just below x, delta = exp(K - theta c) (plain - exp(epsilon - x) discounted).
    private struct TailSums {
        var plain = 0.0
        var discounted = 0.0
        /// Sum of exp(-theta (y - c))^2.
        var squares = 0.0
    }

    /// What independent errors of the weights may add to the sums, or take from them.
    private func error(_ sums: TailSums) -> Double {
        (side == .upper ? 1 : -1) * rounding * sums.squares.squareRoot()
    }

    private var logScale: Double { cumulant - theta * centre }

    private func add(_ position: Int, _ loss: Double, to sums: inout TailSums) {
        let factor = exp(-theta * (loss - centre))
        let weight = weights[position] * factor
        sums.plain += weight
        sums.discounted = sums.discounted * exp(-spacing) + weight
        sums.squares += factor * factor
    }

    /// Whether what lies outside the grid changes delta by less than half the margin.
    private func isPrecise(at epsilon: Double, delta: Double) -> Bool {
        return outside * exp(cumulant - theta * epsilon + LossTilt.logWeight(theta)) <= Self.margin / 2 * delta
    }
}
