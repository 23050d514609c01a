import Kernels
import PrivacyAccounting

/// The noisy count of samples whose gradients are not scaled down, from which adaptive clipping takes the next C.
struct CountRelease {
    private let clipping: AdaptiveClipping
    private let expectedBatchSize: Double
    private let deviation: Double
    private let generator: any RandomGenerator

    /// Counts are multiples of 1/2, so rounding to this grid does not change them.
    private static let step = 0x1p-11

    /// Nil if the mechanism does not adapt C.
    init?(_ mechanism: PrivacyMechanism, _ generator: any RandomGenerator) {
        guard let clipping = mechanism.adaptiveClipping, let deviation = mechanism.countNoiseStandardDeviation else {
            return nil
        }
        self.clipping = clipping
        self.deviation = deviation
        self.generator = generator
        expectedBatchSize = mechanism.expectedBatchSize
    }

    /// Counts one batch: 1/2 for every sample whose norm is at most `norm`, -1/2 for a longer one. A sample that is left
    /// out counts nothing.
    func exactCount(within norm: Double, _ samples: [GradientEngine.SampleReport]) -> Float {
        var count: Float = 0
        for sample in samples {
            guard let own = sample.norm, own.isFinite, sample.loss.isFinite else { continue }
            count += Double(own) <= norm ? 0.5 : -0.5
        }
        return count
    }

    /// The count with noise.
    func release(_ exact: Float) -> Float {
        var count = exact
        if deviation > 0 {
            withUnsafeMutablePointer(to: &count) {
                generator.releaseOnGrid(.init(start: $0, count: 1), step: Self.step, deviation: deviation)
            }
        }
        return count
    }

    /// The next C.
    func nextNorm(after norm: Double, released count: Float) -> Double {
        clipping.nextNorm(after: norm, centredCount: Double(count), expectedBatchSize: expectedBatchSize)
    }
}
