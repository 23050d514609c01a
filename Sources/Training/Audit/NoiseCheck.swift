import Glibc
import PrivacyAccounting

/// Whether noise is as strong as claimed and drawn anew for every step and parameter, by what was added to sums.
///
/// A direct test, which needs no attack: thousands of coordinates are watched in every step.
struct NoiseCheck {
    /// Of the noise as a share of the claimed one.
    private(set) var variance = VarianceTest()
    /// The largest correlation found between two steps or two parameters, in standard deviations of chance.
    private(set) var largestCorrelation = 0.0

    private let watched: [(parameter: String, count: Int)]
    private var whitenings: [NoiseWhitening]
    private var before: [[Float]] = []
    private var first: [[Double]]?
    private var last: [[Double]]?

    private static let largestCount = 1 << 16
    /// Deviations by which chance alone is off less than once in 10^9 audits, though correlations are many.
    private static let correlationLimit = 8.0
    /// Correlations of fewer numbers say nothing.
    private static let smallestSample = 16

    /// - Parameter strategy: how the noise of the steps is correlated; nil if it is independent.
    init(strategy: BandedStrategy?, parameters: [(name: String, count: Int)]) {
        let share = max(64, Self.largestCount / max(1, parameters.count))
        watched = parameters.map { ($0.name, min($0.count, share)) }
        whitenings = watched.map { _ in NoiseWhitening(strategy) }
    }

    mutating func willRelease(_ engine: GradientEngine) {
        before = watched.map { Array(engine.sum(of: $0.parameter).prefix($0.count)) }
    }

    /// - Parameter claimedDeviation: of this step's noise.
    mutating func didRelease(_ engine: GradientEngine, claimedDeviation: Double) {
        let noise = watched.indices.map { index in
            whitenings[index].next(
                zip(engine.sum(of: watched[index].parameter), before[index]).map {
                    (Double($0) - Double($1)) / claimedDeviation
                })
        }
        for value in noise.joined() { variance.add(value) }
        for earlier in [first, last].compactMap({ $0 }) {
            note(Array(noise.joined()), Array(earlier.joined()))
            for (one, other) in zip(noise, earlier) { note(one, other) }
        }
        for (one, other) in zip(noise, noise.dropFirst()) { note(one, other) }
        if first == nil { first = noise }
        last = noise
    }

    /// Why the noise is not what it is claimed to be; empty if nothing speaks against it.
    var failures: [String] {
        var failures: [String] = []
        if variance.isTooSmall { failures.append("the noise is weaker than claimed") }
        if largestCorrelation > Self.correlationLimit {
            failures.append("noise is not independent between steps or parameters")
        }
        return failures
    }

    /// Fisher's z of a correlation is normal with variance 1 / (n - 3).
    private mutating func note(_ one: [Double], _ other: [Double]) {
        let count = min(one.count, other.count)
        guard count >= Self.smallestSample else { return }
        var (product, left, right) = (0.0, 0.0, 0.0)
        for index in 0..<count {
            product += one[index] * other[index]
            left += one[index] * one[index]
            right += other[index] * other[index]
        }
        guard left > 0, right > 0 else { return }
        let correlation = min(1 - 1e-12, abs(product) / (left * right).squareRoot())
        largestCorrelation = max(largestCorrelation, atanh(correlation) * Double(count - 3).squareRoot())
    }
}
