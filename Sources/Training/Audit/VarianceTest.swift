import Glibc

/// Whether numbers that should be normal, with mean 0 and variance 1, vary less than that.
struct VarianceTest {
    private(set) var count = 0
    private var squares = 0.0

    /// Chance of finding fault with numbers that are as they should be.
    private static let errorRate = 1e-9

    mutating func add(_ value: Double) {
        count += 1
        squares += value * value
    }

    /// Standard deviation found.
    var deviation: Double { (squares / Double(max(1, count))).squareRoot() }

    /// By Chernoff's bound of a chi-square distribution with n degrees of freedom:
    /// P[sum <= r n] <= exp(-n (r - 1 - log r) / 2) for r <= 1.
    var isTooSmall: Bool {
        guard count > 0 else { return false }
        let ratio = squares / Double(count)
        return ratio < 1 && -Double(count) * (ratio - 1 - log(ratio)) / 2 < log(Self.errorRate)
    }
}
