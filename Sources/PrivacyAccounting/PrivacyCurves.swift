import Glibc

/// The two curves of a guarantee: epsilon over delta, and the trade-off between the errors of tests that tell a data set
/// from its neighbour (Dong, Roth and Su, "Gaussian Differential Privacy", 2019).
public struct PrivacyCurves: Sendable {
    /// By ascending delta; only what has a finite epsilon. Upper bounds.
    public let points: [(delta: Double, epsilon: Double)]

    /// Half decades from 1e-12 to 0.01, then even steps.
    private static let deltas =
        stride(from: -12.0, through: -2, by: 0.5).map { pow(10, $0) } + stride(from: 0.04, through: 0.96, by: 0.04)

    public init(_ events: [PrivacyEvent]) {
        let accountant = PrivacyLossAccountant(events)
        points = Self.deltas.compactMap { delta in
            let epsilon = accountant.epsilon(delta: delta, tolerance: 4e-3).upper
            return epsilon.isFinite ? (delta, epsilon) : nil
        }
    }

    /// The least type II error that any test with a type I error of `alpha` can have, as far as the points prove it:
    /// max over them of max(1 - delta - e^epsilon alpha, e^-epsilon (1 - delta - alpha)).
    public func typeTwoError(typeOne alpha: Double) -> Double {
        points.reduce(0) { largest, point in
            max(
                largest, 1 - point.delta - exp(point.epsilon) * alpha,
                exp(-point.epsilon) * (1 - point.delta - alpha))
        }
    }
}
