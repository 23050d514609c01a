import Glibc
import Kernels
import PrivacyAccounting

/// The grid on which noisy sums are released.
///
/// Floating-point noise gives away what it was added to: sums and noise round to different sets of numbers (Mironov, "On
/// Significance of the Least Significant Bits for Differential Privacy", 2012). Here sums are rounded to multiples of a
/// step and noise is an independent multiple of it, which is what rounding the Gaussian mechanism's real-valued output
/// would give; the result is converted to float32 last, as any function of it may be.
struct NoiseGrid {
    /// The largest power of two of at most 2^-10 C / sqrt(P): rounding moves a sum by at most 2^-11 C, which
    /// `PrivacyMechanism.roundingShare` covers.
    let step: Double
    /// Of the noise.
    let deviation: Double

    /// - Parameters:
    ///   - clippingNorm: C of this step.
    ///   - parameterCount: P, coordinates of all trained parameters together.
    init(_ mechanism: PrivacyMechanism, clippingNorm: Double, parameterCount: Int) {
        let largest = 0x1p-10 * clippingNorm / Double(max(1, parameterCount)).squareRoot()
        step = exp2(log2(largest).rounded(.down))
        deviation = mechanism.noiseStandardDeviation(clippedTo: clippingNorm)
    }

    /// Turns a clipped sum into its noisy release.
    func release(_ sum: UnsafeMutableBufferPointer<Float>, _ generator: any RandomGenerator) {
        generator.releaseOnGrid(sum, step: step, deviation: deviation)
    }
}
