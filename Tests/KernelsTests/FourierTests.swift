import Foundation
import Testing

@testable import Kernels

/// Transforms against sums by the definition, in double precision.
@Suite struct FourierTests {
    private typealias Complex = FourierPlan.Complex

    /// Powers of 2 and 4, products of small primes, large primes and their multiples.
    static let lengths = Array(1...40) + [48, 60, 64, 74, 97, 100, 121, 127, 128, 243, 400, 509, 512, 514, 1000, 1018]

    @Test(arguments: lengths) func definition(_ length: Int) {
        var seed = UInt64(length)
        func next() -> Double {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(seed >> 33) / 1_073_741_824 - 1
        }
        let x = (0..<length).map { _ in Complex(next(), next()) }
        let plan = FourierPlan(length: length)
        var y = [Complex](repeating: .zero, count: length)
        var scratch = [Complex](repeating: .zero, count: plan.scratchCount)
        plan.transform(x, to: &y, scratch: &scratch)
        let scale = Double(length).squareRoot()
        for k in 0..<length {
            var (real, imaginary) = (0.0, 0.0)
            for j in 0..<length {
                let angle = -2 * Double.pi * Double(j * k % length) / Double(length)
                real += x[j].x * cos(angle) - x[j].y * sin(angle)
                imaginary += x[j].x * sin(angle) + x[j].y * cos(angle)
            }
            #expect((y[k].x - real).magnitude < 1e-13 * scale * 10, "real part of \(k)")
            #expect((y[k].y - imaginary).magnitude < 1e-13 * scale * 10, "imaginary part of \(k)")
        }
    }
}
