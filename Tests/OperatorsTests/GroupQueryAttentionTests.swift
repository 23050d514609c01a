import Kernels
import Operators
import TensorGraph
import TestSupport
import Testing

/// Attention with shared keys and a cache: gradients are central differences in double precision, values are compared
/// with onnxruntime's by the node tests.
@Suite struct GroupQueryAttentionTests {
    private static func floats(_ shape: Int..., seed: UInt64) -> Constant {
        var numbers = Numbers(seed: seed)
        return numbers.floats(shape)
    }

    private static func integers(_ values: Int64...) -> Constant { Constant(values) }

    private static func attention(
        _ name: String, _ inputs: [Constant?], _ attributes: [String: AttributeValue] = [:], outputs: Int = 1
    ) -> OperatorCase {
        OperatorCase(
            name: name, operatorType: "GroupQueryAttention", opset: 1, domain: "com.microsoft", inputs: inputs,
            attributes: attributes.merging(["num_heads": .int(4), "kv_num_heads": .int(2)]) { given, _ in given },
            outputs: outputs, constants: [6])
    }

    private static let query = floats(2, 3, 16, seed: 1)
    private static let key = floats(2, 3, 8, seed: 2)
    private static let value = floats(2, 3, 12, seed: 3)
    private static let prompt: [Constant?] = [query, key, value, nil, nil, integers(2, 1), integers(3)]
    private static let cosines = floats(8, 2, seed: 6)
    private static let sines = floats(8, 2, seed: 7)
    /// Three new keys behind at most two old ones; the second sample has one.
    private static let continued: [Constant?] = [
        query, key, value, floats(2, 2, 2, 4, seed: 4), floats(2, 2, 2, 6, seed: 5), integers(4, 3), integers(5),
    ]

    static let cases: [OperatorCase] = [
        attention("a prompt", prompt, outputs: 3),
        attention("softcapped and scaled", prompt, ["softcap": .float(0.8), "scale": .float(0.9)]),
        attention("a window", prompt, ["local_window_size": .int(2)]),
        attention("all keys of each sample", prompt, ["causal": .int(0)]),
        attention("zero sinks", prompt, ["smooth_softmax": .int(1)]),
        attention(
            "packed and rotated",
            [floats(2, 3, 32, seed: 8), nil, nil, nil, nil, prompt[5], prompt[6], cosines, sines],
            ["do_rotary": .int(1), "rotary_interleaved": .int(1)]),
        attention("a cache", continued, outputs: 3),
        attention(
            "a cache with everything",
            continued + [
                cosines, sines, Constant([2, 3, 4, 1, 2, 3] as [Int64], shape: [2, 3]), floats(1, 4, 3, 5, seed: 9),
                floats(4, seed: 10), nil, nil, floats(4, seed: 11), floats(4, seed: 12),
            ], ["do_rotary": .int(1), "softcap": .float(2), "local_window_size": .int(3)]),
        attention(
            "a padded chunk",
            continued + [nil, nil, nil, nil, nil, nil, nil, nil, nil, integers(3, 2)], outputs: 3),
        attention(
            "the first call with a buffer",
            [query, key, value, floats(2, 2, 5, 4, seed: 4), floats(2, 2, 5, 6, seed: 5), integers(2, 2), integers(3)]),
    ]

    /// What was cached before the first call is read by nothing.
    @Test(arguments: cases.dropLast())
    func gradients(_ example: OperatorCase) throws { try example.checkGradients(seed: 9) }

    @Test(arguments: cases)
    func samplesStayApart(_ example: OperatorCase) throws {
        let batch = example.inputs.enumerated().map { index, input in
            input.flatMap { $0.type.shape[0] == 2 && index != 6 ? BatchFactor(axis: 0) : nil }
        }
        try example.checkSamplesStayApart(batch, batchSize: 2)
    }

    @Test func samplesMeetAlongTheSequence() throws {
        let batch = Self.prompt.indices.map { $0 < 3 ? BatchFactor(axis: 1) : nil }
        try Self.cases[0].checkSamplesMeet(batch, batchSize: 3)
    }

    @Test(arguments: [
        (attention("", prompt, ["sliding_window_cache": .int(1)]), GraphError.Kind.unsupported),
        (attention("", prompt, ["k_quant_type": .string("PER_TENSOR")]), .unsupported),
        (attention("", prompt, ["qk_output": .int(1)]), .unsupported),
        (attention("", prompt, ["kv_num_heads": .int(3)]), .invalid),
        (attention("", [query, key] + prompt[2...].map { _ in nil }), .invalid),
        (attention("", prompt.dropLast() + [integers(4)]), .invalid),
        (attention("", prompt, ["causal": .int(0), "local_window_size": .int(2)]), .invalid),
    ])
    func refusals(_ example: OperatorCase, kind: GraphError.Kind) {
        let error = #expect(throws: GraphError.self) { try example.expand(evaluator: ConstantFolding.evaluator) }
        #expect(error?.kind == kind)
    }
}
