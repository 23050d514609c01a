import PrivacyAccounting

/// Whether the counts that adaptive clipping follows get the noise that is claimed.
struct CountCheck {
    private(set) var variance = VarianceTest()
    private let claimedDeviation: Double

    /// Nil if no noise is claimed.
    init?(_ claim: PrivacyMechanism) {
        guard let deviation = claim.countNoiseStandardDeviation, deviation > 0 else { return nil }
        claimedDeviation = deviation
    }

    mutating func didRelease(count: Float, exact: Float) {
        variance.add((Double(count) - Double(exact)) / claimedDeviation)
    }

    var failures: [String] { variance.isTooSmall ? ["the noise on counts is weaker than claimed"] : [] }
}
