import Kernels
import Operators
import TensorGraph
import TestSupport
import Testing

/// Transforms and their gradients against sums by the definition in double precision.
@Suite struct FourierTransformTests {
    private static func floats(_ shape: [Int], seed: UInt64) -> Constant {
        var numbers = Numbers(seed: seed)
        return numbers.floats(shape)
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 8, 12, 30, 37, 74], [false, true])
    func definition(_ length: Int, isConjugate: Bool) throws {
        try checkDefinition(
            FourierTransform(isConjugate: isConjugate), [Self.floats([2, length, 2], seed: 4)], tolerance: 2e-5)
    }

    /// Longer transforms, in rows for several workers.
    @Test(arguments: [400, 509, 512]) func longTransforms(_ length: Int) throws {
        try checkDefinition(
            FourierTransform(isConjugate: false), [Self.floats([5, length, 2], seed: 5)], gradients: [],
            tolerance: 2e-5)
    }

    private static func transform(
        _ name: String, _ shape: [Int], axis: Int, length: Int? = nil, _ attributes: [String: AttributeValue] = [:]
    ) -> OperatorCase {
        OperatorCase(
            name: name, operatorType: "DFT", opset: 20,
            inputs: [
                floats(shape, seed: 6), length.map { Constant([Int64($0)], shape: []) },
                Constant([Int64(axis)], shape: []),
            ], attributes: attributes, constants: [1, 2])
    }

    private static let signal = floats([2, 17, 1], seed: 7)
    static let cases: [OperatorCase] = [
        transform("of real numbers", [2, 6, 1], axis: 1),
        transform("of complex numbers, cut", [2, 7, 3, 2], axis: 1, length: 5),
        transform("one-sided, filled up", [2, 3, 5, 1], axis: -2, length: 8, ["onesided": .int(1)]),
        transform("inverse", [2, 5, 2], axis: 1, ["inverse": .int(1)]),
        transform("inverse of real numbers, filled up", [2, 5, 1], axis: 1, length: 7, ["inverse": .int(1)]),
        transform("real inverse", [2, 4, 2], axis: 1, ["inverse": .int(1), "onesided": .int(1)]),
        transform(
            "real inverse of odd length", [2, 4, 2], axis: 1, length: 7, ["inverse": .int(1), "onesided": .int(1)]),
        OperatorCase(
            name: "short times", operatorType: "STFT", opset: 17,
            inputs: [signal, Constant([3] as [Int64], shape: []), floats([6], seed: 8)], constants: [1]),
        OperatorCase(
            name: "short times of complex numbers", operatorType: "STFT", opset: 17,
            inputs: [
                floats([2, 11, 2], seed: 9), Constant([2] as [Int64], shape: []), nil,
                Constant([5] as [Int64], shape: []),
            ],
            attributes: ["onesided": .int(0)], constants: [1, 3]),
    ]

    @Test(arguments: cases) func gradients(_ example: OperatorCase) throws { try example.checkGradients(seed: 9) }

    @Test(arguments: cases) func samplesStayApart(_ example: OperatorCase) throws {
        try example.checkSamplesStayApart(example.batched(0), batchSize: 2)
    }

    @Test func samplesMeetWhereTheyAreTransformed() throws {
        let batch: [BatchFactor?] = [BatchFactor(axis: 1), nil, nil]
        try Self.cases[0].checkSamplesMeet(batch, batchSize: 6)
        try Self.cases[7].checkSamplesMeet(batch, batchSize: 17)
    }
}
