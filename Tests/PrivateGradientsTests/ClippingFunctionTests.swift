import TestSupport
import Testing

@testable import PrivateGradients

@Suite struct ClippingFunctionTests {
    /// norm, C, factor by the definitions
    @Test(arguments: [
        (ClippingFunction.abadi, 0.5, 1.0, Float(1)), (.abadi, 1, 1, 1), (.abadi, 4, 1, 0.25), (.abadi, 0, 1, 1),
        (.abadi, 4, .infinity, 1), (.automatic(gamma: 0.5), 1.5, 1, 0.5), (.automatic(gamma: 0.5), 0, 2, 4),
        (.normalized, 4, 2, 0.5), (.normalized, 0, 2, 0), (.normalized, 1e-20, 1, 0), (.global(bound: 8), 8, 2, 0.25),
        (.global(bound: 8), 8.001, 2, 0), (.global(bound: 8), 0, 2, 0.25), (.abadi, .nan, 1, 0),
        (.normalized, .infinity, 1, 0), (.automatic(gamma: 1), .infinity, 1, 0), (.global(bound: 1), .nan, 1, 0),
    ])
    func factors(_ function: ClippingFunction, _ norm: Double, _ clippingNorm: Double, _ expected: Float) {
        #expect(function.factor(norm: norm, clippingNorm: clippingNorm) == expected)
    }

    /// Rounding to single precision never lengthens a clipped gradient.
    @Test(arguments: [ClippingFunction.abadi, .automatic(gamma: 0.01), .normalized])
    func roundingIsDownward(_ function: ClippingFunction) {
        var numbers = Numbers(seed: 7)
        for norm in numbers.floats([2000], scale: 50).doubles.map(\.magnitude) {
            let factor = Double(function.factor(norm: norm, clippingNorm: 1.1))
            #expect(factor * norm <= 1.1)
            let exact = StepOracle.factor(function, norm: norm, threshold: 1.1)
            #expect(factor <= exact && factor >= exact * (1 - 2e-7))
        }
    }
}
