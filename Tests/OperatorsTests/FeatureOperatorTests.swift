import Kernels
import ONNXFormat
import TensorGraph
import TestSupport
import Testing

@testable import Operators

/// Terms and trees: counts by enumeration, refusals; values are compared with onnxruntime's by the node tests.
@Suite struct FeatureOperatorTests {
    private static let terms: [String: AttributeValue] = [
        "mode": .string("TF"), "min_gram_length": .int(1), "max_gram_length": .int(3), "max_skip_count": .int(2),
        "ngram_counts": .ints([0, 2, 6]), "ngram_indexes": .ints([0, 3, 1, 4, 2]),
        "pool_int64s": .ints([1, 2, 0, 1, 2, 2, 1, 2, 0]),
    ]

    private static func counting(_ changes: [String: AttributeValue] = [:]) -> OperatorCase {
        var numbers = Numbers(seed: 8)
        return OperatorCase(
            name: "terms", operatorType: "TfIdfVectorizer", opset: 9, inputs: [numbers.integers([4, 12], below: 3)],
            attributes: terms.merging(changes) { $1 })
    }

    /// Every choice of places at one distance of each other is looked at.
    @Test func countsAreThoseOfAnEnumeration() throws {
        let example = Self.counting()
        var (builder, _, outputs) = try example.expand()
        builder.addOutput("y", outputs[0])
        let results = evaluate(builder.finish(), inputs: ["0": example.inputs[0]!])["y"]!
        let x = example.inputs[0]!.int64Values
        let sought: [([Int64], Int)] = [([1], 0), ([2], 3), ([0, 1], 1), ([2, 2], 4), ([1, 2, 0], 2)]
        var expected = [Float](repeating: 0, count: 4 * 5)
        for row in 0..<4 {
            for (term, output) in sought {
                for first in 0..<12 {
                    for distance in 1...(term.count == 1 ? 1 : 3) {
                        let places = term.indices.map { first + $0 * distance }
                        if places.last! < 12, places.map({ x[row * 12 + $0] }) == term {
                            expected[row * 5 + output] += 1
                        }
                    }
                }
            }
        }
        #expect(results.type.shape == [4, 5])
        #expect(results.floatValues == expected)
        #expect(expected.contains { $0 > 1 })
    }

    @Test func samplesStayApart() throws {
        let example = Self.counting(["mode": .string("IDF"), "weights": .floats([1, 2, 3, 4, 5])])
        try example.checkSamplesStayApart(example.batched(0), batchSize: 4)
        try example.checkSamplesMeet([BatchFactor(axis: 1)], batchSize: 12)
    }

    // MARK: Trees

    private static func bytes(_ values: [Float]) -> AttributeValue {
        .tensor(Constant(values, shape: [values.count]), originalType: .float32)
    }

    /// x0 <= 0 ? (x1 > 1 ? 10 : 20) : 30, the last for another target.
    private static func tree(_ changes: [String: AttributeValue] = [:]) -> OperatorCase {
        // Some features equal their threshold.
        let x = Constant([0, 1, 0, 1.5, -1, 2, 0.5, 3, -0.5, 1, 2, -2] as [Float], shape: [6, 2])
        let attributes: [String: AttributeValue] = [
            "n_targets": .int(2), "tree_roots": .ints([0]), "leaf_targetids": .ints([0, 0, 1]),
            "leaf_weights": bytes([10, 20, 30]), "nodes_splits": bytes([0, 1]),
            "nodes_modes": .tensor(Constant([0, 3] as [Int64]), originalType: .uint8),
            "nodes_featureids": .ints([0, 1]), "nodes_truenodeids": .ints([1, 0]), "nodes_trueleafs": .ints([0, 1]),
            "nodes_falsenodeids": .ints([2, 1]), "nodes_falseleafs": .ints([1, 1]),
        ]
        return OperatorCase(
            name: "tree", operatorType: "TreeEnsemble", opset: 5, domain: "ai.onnx.ml",
            inputs: [x], attributes: attributes.merging(changes) { $1 })
    }

    @Test func aTreeIsFollowed() throws {
        let example = Self.tree()
        var (builder, _, outputs) = try example.expand()
        builder.addOutput("y", outputs[0])
        let x = example.inputs[0]!.floatValues
        let results = evaluate(builder.finish(), inputs: ["0": example.inputs[0]!])["y"]!.floatValues
        for row in 0..<6 {
            let expected: [Float] = x[2 * row] <= 0 ? [x[2 * row + 1] > 1 ? 10 : 20, 0] : [0, 30]
            #expect(Array(results[2 * row..<2 * row + 2]) == expected)
        }
        try example.checkSamplesStayApart(example.batched(0), batchSize: 6)
        try example.checkSamplesMeet([BatchFactor(axis: 1)], batchSize: 2)
    }

    @Test(
        arguments: [
            ["nodes_truenodeids": .ints([0, 0])], ["nodes_truenodeids": .ints([1, 7])],
            ["nodes_trueleafs": .ints([0])], ["nodes_featureids": .ints([0, 2])], ["leaf_targetids": .ints([0, 0, 2])],
            ["tree_roots": .ints([2])], ["aggregate_function": .int(9)],
        ] as [[String: AttributeValue]])
    func malformedTreesAreRefused(_ changes: [String: AttributeValue]) {
        let error = #expect(throws: GraphError.self) { try Self.tree(changes).expand() }
        #expect(error?.kind == .invalid)
    }

    @Test func malformedTermsAreRefused() {
        for (changes, kind) in [
            (["ngram_counts": .ints([0, 3])], GraphError.Kind.invalid), (["mode": .string("DF")], .invalid),
            (["ngram_indexes": .ints([0])], .invalid),
        ] as [([String: AttributeValue], GraphError.Kind)] {
            let error = #expect(throws: GraphError.self) { try Self.counting(changes).expand() }
            #expect(error?.kind == kind)
        }
        var text = Self.counting()
        text.attributes["pool_int64s"] = nil
        let error = #expect(throws: GraphError.self) { try text.expand() }
        #expect(error?.kind == .unsupported)
    }
}
