import Kernels
import TensorGraph
import TestSupport
import Testing

@testable import Operators

/// Recurrent cells against their formulas; their values are tested against ONNX's own, too (ConformanceTests).
@Suite struct RecurrenceTests {
    private static func floats(_ shape: Int..., seed: UInt64) -> Constant {
        var numbers = Numbers(seed: seed)
        return numbers.floats(shape)
    }

    /// X, W, R, B, lengths, initial states and peepholes for four steps of three sequences with two features.
    private static func inputs(
        gates: Int, hidden: Int = 3, directions: Int = 1, lengths: [Int64]? = nil, states: Int = 0,
        peepholes: Bool = false, batchFirst: Bool = false
    ) -> [Constant?] {
        let state = batchFirst ? [3, directions, hidden] : [directions, 3, hidden]
        var numbers = Numbers(seed: 11)
        var result: [Constant?] = [
            numbers.floats(batchFirst ? [3, 4, 2] : [4, 3, 2]), numbers.floats([directions, gates * hidden, 2]),
            numbers.floats([directions, gates * hidden, hidden]), numbers.floats([directions, 2 * gates * hidden]),
            lengths.map { Constant($0) },
        ]
        for _ in 0..<states { result.append(numbers.floats(state)) }
        if peepholes {
            while result.count < 7 { result.append(nil) }
            result.append(numbers.floats([directions, 3 * hidden]))
        }
        return result
    }

    private static let cases = [
        OperatorCase(name: "lstm", operatorType: "LSTM", opset: 14, inputs: inputs(gates: 4), outputs: 3),
        OperatorCase(
            name: "lstm of one step backwards, fused width", operatorType: "LSTM", opset: 7,
            inputs: inputs(gates: 4, hidden: 9, states: 2), attributes: ["direction": .string("reverse")], outputs: 3),
        OperatorCase(
            name: "lstm in both directions, batch first, with lengths", operatorType: "LSTM", opset: 22,
            inputs: inputs(gates: 4, directions: 2, lengths: [2, 4, 3], states: 2, batchFirst: true),
            attributes: ["direction": .string("bidirectional"), "layout": .int(1)], outputs: 3),
        OperatorCase(
            name: "lstm with peepholes and clipping", operatorType: "LSTM", opset: 14,
            inputs: inputs(gates: 4, lengths: [4, 1, 2], states: 2, peepholes: true),
            attributes: ["clip": .float(0.45)], outputs: 3),
        OperatorCase(
            name: "lstm with coupled gates and functions per direction", operatorType: "LSTM", opset: 14,
            inputs: inputs(gates: 4, directions: 2, peepholes: true),
            attributes: [
                "direction": .string("bidirectional"), "input_forget": .int(1),
                "activations": .strings(["HardSigmoid", "ScaledTanh", "Softsign", "Sigmoid", "Affine", "Elu"]),
                "activation_alpha": .floats([0.3, 1.2, 0.8, 0.7]), "activation_beta": .floats([0.4, 0.9, 0.1]),
            ], outputs: 3),
        OperatorCase(
            name: "gru with reset before the weights, lengths", operatorType: "GRU", opset: 7,
            inputs: inputs(gates: 3, directions: 2, lengths: [4, 0, 2], states: 1),
            attributes: ["direction": .string("bidirectional")], outputs: 2),
        OperatorCase(
            name: "gru with reset behind the weights", operatorType: "GRU", opset: 14,
            inputs: inputs(gates: 3, hidden: 9, states: 1, batchFirst: true),
            attributes: ["linear_before_reset": .int(1), "layout": .int(1)], outputs: 2),
        OperatorCase(
            name: "gru with reset behind the weights, clipping and functions", operatorType: "GRU", opset: 22,
            inputs: inputs(gates: 3, lengths: [3, 1, 4]),
            attributes: [
                "linear_before_reset": .int(1), "direction": .string("reverse"), "clip": .float(0.6),
                "activations": .strings(["HardSigmoid", "Softplus"]),
            ], outputs: 2),
        OperatorCase(
            name: "rnn in both directions", operatorType: "RNN", opset: 14,
            inputs: inputs(gates: 1, directions: 2, lengths: [1, 4, 3], states: 1),
            attributes: ["direction": .string("bidirectional"), "activations": .strings(["Tanh", "LeakyRelu"])],
            outputs: 2),
        OperatorCase(name: "rnn", operatorType: "RNN", opset: 7, inputs: inputs(gates: 1), outputs: 2),
    ]

    @Test(arguments: cases) func gradients(_ example: OperatorCase) throws {
        try example.checkGradients(seed: 5)
    }

    @Test func timeIsNoBatch() throws {
        let example = Self.cases[0]
        let steps = BatchFactor(axis: 0)
        let expanded = try example.expand(batchSize: 4, batch: [steps, nil, nil, nil, nil])
        #expect(expanded.builder.mixingNodes.first?.mixing.reason.contains("through the batch") == true)
        #expect(expanded.builder.graph[expanded.outputs[0]].batch == .mixed)
    }

    @Test func weightsOfSamplesAreRefused() throws {
        let expanded = try Self.cases[0].expand(
            batchSize: 3, batch: [BatchFactor(axis: 1), nil, BatchFactor(axis: 2), nil, nil])
        #expect(expanded.builder.graph[expanded.outputs[0]].batch == .mixed)
    }

    private static let refused: [(OperatorCase, String)] = [
        (["direction": AttributeValue.string("sideways")], "sideways"), (["hidden_size": .int(4)], "hidden_size"),
        (["activations": .strings(["Tanh"])], "1 activations"),
        (["activations": .strings(["Tanh", "Tanh", "Cosine"])], "Cosine"),
        (["direction": .string("bidirectional")], "directions"),
    ].map { attributes, mention in
        (
            OperatorCase(
                name: "", operatorType: "LSTM", opset: 14, inputs: inputs(gates: 4), attributes: attributes,
                outputs: 3), mention
        )
    }

    /// Zeros change nothing, but must fit like other states: PyTorch's exporter writes LSTMs with projections that do not.
    @Test(arguments: [5, 6]) func statesOfAnotherWidthAreRefused(_ index: Int) throws {
        var example = OperatorCase(
            name: "", operatorType: "LSTM", opset: 14, inputs: Self.inputs(gates: 4, states: 2), outputs: 3,
            constants: [5, 6])
        example.inputs[index] = Constant([Float](repeating: 0, count: 9), shape: [1, 3, 3])
        #expect(throws: Never.self) { try example.expand(evaluator: ConstantFolding.evaluator) }
        example.inputs[index] = Constant([Float](repeating: 0, count: 18), shape: [1, 3, 6])
        let error = #expect(throws: GraphError.self) { try example.expand(evaluator: ConstantFolding.evaluator) }
        #expect(error?.message == "input \(index) has shape [3, 6] per direction, not [3, 3]")
    }

    @Test func lengthsOfOtherSequencesAreRefused() {
        let example = OperatorCase(
            name: "", operatorType: "GRU", opset: 14, inputs: Self.inputs(gates: 3, lengths: [4, 4]), outputs: 2,
            constants: [4])
        let error = #expect(throws: GraphError.self) { try example.expand() }
        #expect(error?.message == "sequence_lens has shape [2], not [3]")
    }

    @Test(arguments: refused.indices) func refuses(_ index: Int) {
        let (example, mention) = Self.refused[index]
        let error = #expect(throws: GraphError.self) { try example.expand() }
        #expect(error?.message.contains(mention) == true, "\(error?.message ?? "")")
    }
}
