import DPONNX
import Glibc

/// The two curves of a guarantee: epsilon over delta, and the trade-off between the errors of any test that tells a data
/// set from its neighbour (Dong, Roth and Su, "Gaussian Differential Privacy", 2019).
struct PrivacyCurves {
    /// By ascending delta; finite epsilons only.
    private let points: [(delta: Double, epsilon: Double)]

    /// Half decades from 1e-12 to 0.01, then even steps.
    private static let deltas =
        stride(from: -12.0, through: -2, by: 0.5).map { pow(10, $0) } + stride(from: 0.04, through: 0.96, by: 0.04)

    init(_ events: [PrivacyEvent]) {
        let accountant = PrivacyLossAccountant(events)
        points = Self.deltas.compactMap { delta in
            let epsilon = accountant.epsilon(delta: delta, tolerance: 4e-3).upper
            return epsilon.isFinite ? (delta, epsilon) : nil
        }
    }

    var epsilonOverDelta: [(x: Double, y: Double)] {
        points.filter { $0.delta <= 0.01 }.map { ($0.delta, $0.epsilon) }
    }

    /// Least type II error of tests with a given type I error: the best of what each (epsilon, delta) proves.
    var tradeOff: [(x: Double, y: Double)] {
        // Closer where it is steep.
        stride(from: 0.0, through: 1, by: 1.0 / 128).map { part in
            let alpha = part * part
            let errors = points.map { point in
                max(
                    1 - point.delta - exp(point.epsilon) * alpha, exp(-point.epsilon) * (1 - point.delta - alpha))
            }
            return (alpha, max(0, errors.max() ?? 0))
        }
    }

    /// A picture with both, one line per subject.
    static func picture(_ subjects: [(name: String, events: [PrivacyEvent])], title: String) -> String {
        let curves = subjects.map { (name: $0.name, curves: PrivacyCurves($0.events)) }
        let left = LineChart(
            title: "epsilon over delta, \(title)", xLabel: "delta", yLabel: "epsilon (upper bound)",
            xKind: .logarithmic, yIncludesZero: true,
            lines: curves.map { .init(name: $0.name, points: $0.curves.epsilonOverDelta) })
        var lines = curves.map { LineChart.Line(name: $0.name, points: $0.curves.tradeOff) }
        lines.append(.init(name: "perfect privacy", points: [(0, 1), (1, 0)], isFaint: true))
        let right = LineChart(
            title: "trade-off of a distinguisher's errors", xLabel: "type I error",
            yLabel: "type II error (lower bound)",
            lines: lines)
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="1280" height="400" viewBox="0 0 1280 400">
            \(left.element())
            \(right.element(x: LineChart.width))
            </svg>

            """
    }
}
