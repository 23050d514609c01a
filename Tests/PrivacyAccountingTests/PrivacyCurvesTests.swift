import Glibc
import PrivacyAccounting
import Testing

@Suite struct PrivacyCurvesTests {
    private func normal(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }

    /// Of the Gaussian mechanism the trade-off is known: Phi(Phi^-1(1 - alpha) - mu).
    @Test(arguments: [0.3, 1, 3]) func theTradeOffIsThatOfNormals(mu: Double) {
        let curves = PrivacyCurves([sampled(1, 1 / mu, 1)])
        for quantile in stride(from: -3.5, through: 3.5, by: 0.25) {
            let exact = normal(quantile - mu)
            let found = curves.typeTwoError(typeOne: normal(-quantile))
            #expect(found <= exact + 1e-9 && found > exact - 0.012, "\(quantile): \(found), \(exact)")
        }
    }

    @Test func epsilonFallsAsDeltaRises() {
        let points = PrivacyCurves([sampled(0.01, 1, 500)]).points
        #expect(points.count > 40 && points[0].delta == 1e-12)
        for (one, other) in zip(points, points.dropFirst()) { #expect(one.epsilon >= other.epsilon) }
        // Nothing released, and everything.
        #expect(abs(PrivacyCurves([]).typeTwoError(typeOne: 0.25) - 0.75) < 1e-9)
        #expect(PrivacyCurves([sampled(1, 0, 1)]).typeTwoError(typeOne: 0.25) == 0)
    }
}
