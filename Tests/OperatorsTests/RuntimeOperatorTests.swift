import Kernels
import Operators
import TensorGraph
import TestSupport
import Testing

/// Operators of the domain `com.microsoft`, and sequences of states: gradients are central differences in double
/// precision, values are compared with onnxruntime's by the node tests.
@Suite struct RuntimeOperatorTests {
    private static func floats(_ shape: Int..., seed: UInt64, scale: Double = 1) -> Constant {
        var numbers = Numbers(seed: seed)
        return numbers.floats(shape, scale: scale)
    }

    private static func runtime(
        _ type: String, _ inputs: [Constant?], _ attributes: [String: AttributeValue] = [:], outputs: Int = 1
    ) -> OperatorCase {
        OperatorCase(
            name: "\(type) \(attributes)", operatorType: type, opset: 1, domain: "com.microsoft", inputs: inputs,
            attributes: attributes, outputs: outputs)
    }

    static let fused: [OperatorCase] = {
        let x = floats(2, 3, 4, seed: 1)
        let skip = floats(2, 3, 4, seed: 2)
        let (gamma, beta, bias) = (floats(4, seed: 3), floats(4, seed: 4), floats(4, seed: 5))
        let plane = floats(2, 2, 3, 3, seed: 6)
        let ids = Constant([3, 0, 1, 1, 1, 2] as [Int64], shape: [2, 3])
        let segments = Constant([0, 1, 1, 0, 0, 1] as [Int64], shape: [2, 3])
        let mask = Constant([1, 1, 0, 0, 1, 1] as [Int64], shape: [2, 3])
        let attention: [Constant?] = [x, floats(4, 12, seed: 7), floats(12, seed: 8)]
        let heads: [String: AttributeValue] = ["num_heads": .int(2)]
        let causal = heads.merging(["unidirectional": .int(1)]) { $1 }
        return [
            runtime("FusedMatMul", [x, skip], ["transB": .int(1), "alpha": .float(0.5)]),
            runtime("FusedMatMul", [x, floats(3, 4, 2, seed: 3)], ["transBatchA": .int(1)]),
            runtime(
                "FusedGemm", [floats(2, 4, seed: 1), floats(4, 3, seed: 2), floats(3, seed: 3)],
                ["activation": .string("Tanh")]),
            runtime(
                "FusedConv", [plane, floats(2, 2, 3, 3, seed: 7), floats(2, seed: 8), plane],
                ["activation": .string("Sigmoid"), "pads": .ints([1, 1, 1, 1])]),
            runtime("BiasGelu", [x, bias]), runtime("FastGelu", [x, bias]), runtime("QuickGelu", [x]),
            runtime("SkipLayerNormalization", [x, skip, gamma, beta, bias]),
            runtime("SkipSimplifiedLayerNormalization", [x, floats(3, 4, seed: 2), gamma, bias]),
            runtime("SimplifiedLayerNormalization", [x, gamma]),
            runtime(
                "EmbedLayerNormalization",
                [
                    ids, segments, floats(5, 4, seed: 6), floats(4, 4, seed: 7), floats(2, 4, seed: 8), gamma, beta,
                ]),
            runtime("Attention", attention + [mask], heads), runtime("Attention", attention, causal),
            runtime("Attention", attention + [nil, nil, floats(1, 2, 3, 3, seed: 9)], heads),
            runtime("MultiHeadAttention", [x, skip, skip, floats(12, seed: 8), mask], heads),
            runtime("MultiHeadAttention", [floats(2, 3, 2, 3, 2, seed: 8)], causal),
            OperatorCase(
                name: "four bits", operatorType: "MatMulNBits", opset: 1, domain: "com.microsoft",
                inputs: [
                    floats(2, 2, 20, seed: 1), Constant((0..<48).map { Int64($0 * 37 % 256) }, shape: [3, 2, 8]),
                    floats(6, seed: 2), Constant([0x73, 0x92, 0x58] as [Int64]), nil, floats(3, seed: 3),
                ],
                attributes: ["K": .int(20), "N": .int(3), "block_size": .int(16)], constants: [1, 3]),
            runtime(
                "RotaryEmbedding",
                [
                    x, Constant([0, 3, 1, 2, 2, 0] as [Int64], shape: [2, 3]), floats(4, 1, seed: 3),
                    floats(4, 1, seed: 4),
                ]
            ),
        ]
    }()

    static let states: [OperatorCase] = {
        let x = floats(2, 3, 5, seed: 1)
        let (query, key, value) = (floats(2, 3, 8, seed: 2), floats(2, 3, 4, seed: 3), floats(2, 3, 6, seed: 4))
        let past = floats(2, 2, 2, 3, seed: 5)
        func linear(_ rule: String, _ inputs: [Constant?]) -> OperatorCase {
            OperatorCase(
                name: "\(rule) attention", operatorType: "LinearAttention", opset: 27,
                inputs: [query, key, value] + inputs,
                attributes: [
                    "update_rule": .string(rule), "q_num_heads": .int(4), "kv_num_heads": .int(2),
                ])
        }
        return [
            OperatorCase(
                name: "causal convolution", operatorType: "CausalConvWithState", opset: 27,
                inputs: [x, floats(3, 1, 3, seed: 2), floats(3, seed: 3), floats(2, 3, 2, seed: 4)],
                attributes: ["activation": .string("silu")], outputs: 2),
            OperatorCase(
                name: "causal convolution without a past", operatorType: "CausalConvWithState", opset: 27,
                inputs: [x, floats(3, 1, 3, seed: 2)]),
            linear("linear", []), linear("gated", [past, floats(2, 3, 4, seed: 6)]),
            linear("delta", [past, nil, floats(2, 3, 2, seed: 7)]),
            linear("gated_delta", [nil, floats(2, 3, 2, seed: 6), floats(2, 3, 1, seed: 7)]),
            OperatorCase(
                name: "determinant", operatorType: "Det", opset: 11, inputs: [floats(2, 3, 3, seed: 8)]),
            OperatorCase(
                name: "gated unit", operatorType: "SwiGLU", opset: 28, inputs: [x, floats(2, 3, 5, seed: 9)],
                attributes: ["alpha": .float(1.5)]),
        ]
    }()

    /// Only the first output: means and deviations of a normalisation are not differentiated.
    @Test(arguments: fused + states)
    func gradients(_ example: OperatorCase) throws { try example.checkGradients(seed: 9, outputs: 1) }

    @Test(arguments: fused + states)
    func samplesStayApart(_ example: OperatorCase) throws {
        if example.attributes["transBatchA"] != nil { return }
        // Whatever has a first axis of two and more than one axis holds two samples, but for tables and weights.
        let tables =
            example.operatorType == "EmbedLayerNormalization" ? [4] : example.operatorType == "FusedConv" ? [1] : []
        let batch = example.inputs.enumerated().map { index, input in
            input.flatMap {
                $0.type.shape[0] == 2 && $0.type.rank > 1 && !tables.contains(index) ? BatchFactor(axis: 0) : nil
            }
        }
        try example.checkSamplesStayApart(batch, batchSize: 2, outputs: 1)
    }

    @Test func samplesMeetAlongOtherAxes() throws {
        func meet(_ example: OperatorCase, axis: Int) throws {
            let batch = example.inputs.enumerated().map { $0.offset == 0 ? BatchFactor(axis: axis) : nil }
            try example.checkSamplesMeet(batch, batchSize: example.inputs[0]!.type.shape[axis])
        }
        let x = Self.floats(2, 3, 4, seed: 1)
        let gamma = Self.floats(4, seed: 2)
        try meet(Self.runtime("SkipLayerNormalization", [x, Self.floats(1, 1, 4, seed: 3), gamma]), axis: 2)
        try meet(Self.runtime("Attention", [x, Self.floats(4, 12, seed: 3)], ["num_heads": .int(2)]), axis: 1)
        try meet(Self.states[1], axis: 2)
        try meet(Self.states[6], axis: 1)
    }

    // MARK: Values

    @Test func singularMatrices() throws {
        let x = Constant([1, 2, 2, 4, 0, 3, 5, 1] as [Float], shape: [2, 2, 2])
        #expect(try run(Determinant(), [x])[0].floatValues == [0, -15])
        #expect(try run(Cofactors(), [x])[0].floatValues == [4, -2, -2, 1, 1, -5, -3, 0])
        #expect(try run(Determinant(), [Constant([] as [Float], shape: [1, 0, 0])])[0].floatValues == [1])
    }

    // MARK: Refusals

    @Test(arguments: [
        runtime(
            "MatMulNBits", [floats(1, 16, seed: 1), Constant([Int64](repeating: 0, count: 8), shape: [1, 1, 8])],
            ["K": .int(16), "N": .int(1), "block_size": .int(16)]),
        runtime(
            "Attention", [floats(1, 2, 4, seed: 1), floats(4, 12, seed: 2)],
            ["num_heads": .int(2), "do_rotary": .int(1)]),
        runtime(
            "FusedConv", [floats(1, 1, 3, seed: 1), floats(1, 1, 1, seed: 2)], ["activation": .string("Softplus")]),
        runtime(
            "MultiHeadAttention",
            [floats(1, 2, 4, seed: 1)] + [nil, nil, nil, nil, nil, nil, nil]
                + [floats(1, seed: 1)], ["num_heads": .int(2)]),
    ])
    func unsupportedUses(_ example: OperatorCase) {
        let error = #expect(throws: GraphError.self) { try example.expand() }
        #expect(error?.kind == .unsupported)
    }
}
