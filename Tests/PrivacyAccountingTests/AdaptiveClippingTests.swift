import Foundation
import Testing

@testable import PrivacyAccounting

/// The noise of gradients and counts, and the threshold that follows.
@Suite struct AdaptiveClippingTests {
    private func mechanism(noise: Double, countNoise: Double) -> PrivacyMechanism {
        PrivacyMechanism(
            sampler: .poisson(rate: 0.02), clippingNorm: 0.4, noiseMultiplier: noise, steps: 300, datasetSize: 10_000,
            adaptiveClipping: AdaptiveClipping(quantile: 0.6, rate: 0.3, countNoise: countNoise))
    }

    /// Sensitivities C and 1/2 in units of the two noises, as one vector.
    @Test(arguments: [(0.5, 10.0), (1.3, 0.7), (2, 1.01), (8, 4.5)])
    func bothReleasesTogetherCostTheNoiseMultiplier(noise: Double, countNoise: Double) throws {
        let mechanism = mechanism(noise: noise, countNoise: countNoise)
        let rounding = 1 + mechanism.roundingShare
        let gradient = 0.4 * rounding / mechanism.noiseStandardDeviation
        let count = try 0.5 * rounding / #require(mechanism.countNoiseStandardDeviation)
        #expect(abs((gradient * gradient + count * count).squareRoot() * noise - 1) < 1e-12)
        #expect(abs(mechanism.noiseStandardDeviation(clippedTo: 4) / mechanism.noiseStandardDeviation - 10) < 1e-12)
        var plain = PrivacyEvent(.poissonSampledGaussian(samplingRate: 0.02, noiseMultiplier: noise), count: 300)
        #expect(mechanism.event == plain)
        plain.count = 7
        #expect(mechanism.event(steps: 7) == plain)
    }

    @Test func countsThatCostAllAreRefused() {
        let clipping = AdaptiveClipping(quantile: 0.5, countNoise: 1)
        #expect(clipping.gradientNoiseMultiplier(together: 2) == nil)
        #expect(clipping.gradientNoiseMultiplier(together: 0) == 0)
        #expect(clipping.gradientNoiseMultiplier(together: 1) == 1 / 0.75.squareRoot())
    }

    /// Algorithm 1 of the paper: C exp(-eta (b - quantile)).
    @Test func theThresholdFollowsTheQuantile() {
        let clipping = AdaptiveClipping(quantile: 0.6, rate: 0.3, countNoise: 1)
        // Of 40 samples 30 are not clipped; the expected batch is 50: b = 1/2 + 10/50.
        let next = clipping.nextNorm(after: 2, centredCount: 30 * 0.5 - 10 * 0.5, expectedBatchSize: 50)
        #expect(abs(next - 2 * exp(-0.3 * (0.7 - 0.6))) < 1e-12)
        #expect(clipping.nextNorm(after: 2, centredCount: -1e12, expectedBatchSize: 1) == 1e9)
    }

    @Test func theStatementSaysSo() throws {
        let statement = PrivacyStatement(
            mechanism: mechanism(noise: 1.1, countNoise: 12.5), clippingFunction: "abadi", clippingStyle: "flat",
            accountant: .rdp, delta: 1e-6)
        var metadata = statement.metadata()
        #expect(try PrivacyStatement(metadata: metadata) == statement)
        #expect(metadata["dponnx.privacy.adaptive-clipping-quantile"] == "0.6")
        #expect(metadata["dponnx.privacy.count-noise"] == "12.5")
        metadata["dponnx.privacy.count-noise"] = "0.5"
        #expect(throws: PrivacyStatementError.self) { try PrivacyStatement(metadata: metadata) }
    }
}
