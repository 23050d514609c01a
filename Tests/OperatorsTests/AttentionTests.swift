import TensorGraph
import TestSupport
import Testing

@testable import Operators

/// Attention and RotaryEmbedding; their values are tested against ONNX's own (ConformanceTests).
@Suite struct AttentionTests {
    private static func floats(_ shape: Int..., seed: UInt64) -> Constant {
        var numbers = Numbers(seed: seed)
        return numbers.floats(shape)
    }

    /// Two samples, four query heads on two of keys and values, two queries, four keys.
    private static let shared: [Constant?] = [
        floats(2, 4, 2, 3, seed: 1), floats(2, 2, 4, 3, seed: 2), floats(2, 2, 4, 2, seed: 3),
    ]
    /// The second query of the first sample sees no key.
    private static let visible = Constant(
        [true, false, true, true, false, false, false, false, false, true, true, false, true, true, false, false],
        shape: [2, 1, 2, 4])
    private static let softcap = ["softcap": AttributeValue.float(0.6)]

    private static let gradientCases = [
        OperatorCase(name: "shared heads", operatorType: "Attention", opset: 23, inputs: shared),
        OperatorCase(
            name: "mask that hides a row", operatorType: "Attention", opset: 23, inputs: shared + [visible],
            attributes: ["scale": .float(1.5), "is_causal": .int(1)]),
        OperatorCase(
            name: "learned bias, softcap", operatorType: "Attention", opset: 23,
            inputs: shared + [floats(4, 2, 4, seed: 4)], attributes: softcap),
        OperatorCase(
            name: "short learned bias in a buffer", operatorType: "Attention", opset: 24,
            inputs: shared + [floats(2, 3, seed: 4), nil, nil, Constant([3, 1] as [Int64])],
            attributes: ["is_causal": .int(1)]),
        OperatorCase(
            name: "features, past and window", operatorType: "Attention", opset: 25,
            inputs: [
                floats(2, 3, 8, seed: 1), floats(2, 3, 4, seed: 2), floats(2, 3, 6, seed: 3), nil,
                floats(2, 2, 2, 2, seed: 4), floats(2, 2, 2, 3, seed: 5),
            ],
            attributes: [
                "q_num_heads": .int(4), "kv_num_heads": .int(2), "left_window_size": .int(1), "is_causal": .int(1),
            ], outputs: 3),
        OperatorCase(
            name: "scores of mode 0", operatorType: "Attention", opset: 23, inputs: shared + [visible],
            attributes: softcap, outputs: 4),
        OperatorCase(
            name: "scores of mode 1", operatorType: "Attention", opset: 23, inputs: shared + [visible],
            attributes: softcap.merging(["qk_matmul_output_mode": .int(1)]) { $1 }, outputs: 4),
        OperatorCase(
            name: "scores of mode 2", operatorType: "Attention", opset: 23,
            inputs: shared + [floats(4, 2, 4, seed: 4)],
            attributes: softcap.merging(["qk_matmul_output_mode": .int(2)]) { $1 }, outputs: 4),
        OperatorCase(
            name: "probabilities", operatorType: "Attention", opset: 23, inputs: shared + [visible],
            attributes: ["qk_matmul_output_mode": .int(3)], outputs: 4),
        OperatorCase(
            name: "rotation", operatorType: "RotaryEmbedding", opset: 23,
            inputs: [
                floats(2, 2, 3, 6, seed: 1), floats(5, 2, seed: 2), floats(5, 2, seed: 3),
                Constant([4, 0, 0, 1, 2, 3] as [Int64], shape: [2, 3]),
            ], attributes: ["rotary_embedding_dim": .int(4)]),
        OperatorCase(
            name: "interleaved rotation of features", operatorType: "RotaryEmbedding", opset: 23,
            inputs: [floats(2, 3, 8, seed: 1), floats(2, 3, 2, seed: 2), floats(2, 3, 2, seed: 3)],
            attributes: ["num_heads": .int(2), "interleaved": .int(1)]),
    ]

    @Test(arguments: gradientCases) func gradients(_ example: OperatorCase) throws {
        try example.checkGradients(seed: 9)
    }

    /// One sample is one run, with its own rows of the mask and of the lengths.
    @Test(arguments: [gradientCases[1], gradientCases[3], gradientCases[4], gradientCases[9], gradientCases[10]])
    func samplesStayApart(_ example: OperatorCase) throws {
        let batch = example.inputs.map { input in
            // Float tensors of rank 2 are the same for all samples.
            input.flatMap {
                $0.type.shape[0] == 2 && ($0.type.rank != 2 || $0.type.elementType == .int64)
                    ? BatchFactor(axis: 0) : nil
            }
        }
        try example.checkSamplesStayApart(batch, batchSize: 2)
    }

    @Test func attentionOverTheBatchMixesSamples() throws {
        let sequence = BatchFactor(axis: 2)
        let x = Self.floats(1, 2, 3, 4, seed: 1)
        let example = OperatorCase(name: "", operatorType: "Attention", opset: 23, inputs: [x, x, x])
        let expanded = try example.expand(batchSize: 3, batch: [sequence, sequence, sequence])
        #expect(!expanded.builder.mixingNodes.isEmpty)
        #expect(expanded.builder.graph[expanded.outputs[0]].batch == .mixed)
    }

    /// Before version 24 a mask of one column is broadcast, from then on it names the first key only.
    @Test func aColumnOfAMask() throws {
        let x = Self.floats(1, 1, 3, 2, seed: 1)
        let mask = Constant([Float](repeating: 0.5, count: 3), shape: [3, 1])
        let plain = try runOperator("Attention", opset: 23, [x, x, x])[0].doubles
        #expect(relativeError(try runOperator("Attention", opset: 23, [x, x, x, mask])[0].doubles, plain) < 1e-6)
        let first = try runOperator("Attention", opset: 24, [x, x, x, mask])[0].doubles
        #expect(relativeError(first, [0, 1, 0, 1, 0, 1].map { x.doubles[$0] }) < 1e-6)
    }

    private static let refused: [(OperatorCase, String)] = {
        let x = floats(2, 2, 3, 4, seed: 1)
        let features = floats(2, 3, 8, seed: 1)
        let lengths = Constant([1, 2] as [Int64])
        func attention(_ inputs: [Constant?], _ attributes: [String: AttributeValue] = [:]) -> OperatorCase {
            OperatorCase(
                name: "", operatorType: "Attention", opset: 25, inputs: inputs, attributes: attributes, outputs: 4)
        }
        func rotation(_ inputs: [Constant?], _ attributes: [String: AttributeValue] = [:]) -> OperatorCase {
            OperatorCase(name: "", operatorType: "RotaryEmbedding", opset: 23, inputs: inputs, attributes: attributes)
        }
        let (angles, places) = (floats(3, 2, seed: 1), Constant([0, 1, 2, 0, 1, 2] as [Int64], shape: [2, 3]))
        return [
            (attention([x, x, features]), "rank"),
            (attention([features, features, features]), "q_num_heads"),
            (
                attention([features, features, features], ["q_num_heads": .int(3), "kv_num_heads": .int(1)]),
                "q_num_heads"
            ),
            (attention([x, floats(2, 3, 3, 4, seed: 1), floats(2, 3, 3, 4, seed: 1)]), "2 query heads"),
            (attention([x, x, floats(2, 2, 2, 4, seed: 1)]), "do not belong together"),
            (attention([x, x, floats(2, 1, 3, 4, seed: 1)]), "do not belong together"),
            (attention([x, x, x, floats(3, 4, seed: 1)]), "does not broadcast"),
            (attention([x, x, x, floats(3, 2, 3, 3, seed: 1)]), "does not broadcast"),
            (attention([x, x, x, nil, x]), "past_value"),
            (attention([x, x, x, nil, x, x, lengths]), "excludes"),
            (attention([x, x, x, nil, nil, nil, Constant([1] as [Int64])]), "one integer per sample"),
            (attention([x, x, x], ["left_window_size": .int(-2)]), "left_window_size = -2"),
            (attention([x, x, x], ["softcap": .float(-1)]), "softcap"),
            (attention([x, x, x], ["qk_matmul_output_mode": .int(4)]), "qk_matmul_output_mode = 4"),
            (rotation([features, angles, angles, places]), "num_heads"),
            (rotation([x, angles, angles, places], ["rotary_embedding_dim": .int(3)]), "3 features"),
            (rotation([x, angles, angles, places], ["rotary_embedding_dim": .int(6)]), "6 features"),
            (rotation([x, angles, angles]), "cosines or sines (input 1)"),
            (rotation([x, floats(2, 3, 2, seed: 1), floats(3, 2, 2, seed: 1)]), "cosines or sines (input 2)"),
        ]
    }()

    @Test(arguments: refused.indices) func refuses(_ index: Int) {
        let (example, mention) = Self.refused[index]
        let error = #expect(throws: GraphError.self) { try example.expand() }
        #expect(error?.kind == .invalid)
        #expect(error?.message.contains(mention) == true, "\(error?.message ?? "")")
    }
}
