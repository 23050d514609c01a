import Operators
import TensorGraph
import TestSupport
import Testing

/// Optimisers as nodes: gradients are central differences in double precision, values are compared with those of ONNX's
/// reference implementation by the node tests.
@Suite struct OptimizerOperatorTests {
    private static func step(
        _ type: String, count: Int64, kinds: Int, _ attributes: [String: AttributeValue] = [:]
    ) -> OperatorCase {
        var numbers = Numbers(seed: 3)
        let tensors = (0..<kinds).flatMap { kind in
            [[2, 3], [4]].map { shape in
                let values = numbers.floats(shape)
                // Means of squares are positive.
                return kind >= 2 && kind == kinds - 1
                    ? Constant(values.floatValues.map { $0 * $0 + 0.1 }, shape: shape) : values
            }
        }
        return OperatorCase(
            name: "\(type) after \(count)", operatorType: type, opset: 1, domain: "ai.onnx.preview.training",
            inputs: [Constant([0.3] as [Float], shape: []), Constant([count], shape: [])] + tensors,
            attributes: attributes, outputs: 2 * (kinds - 1))
    }

    private static let nesterov: [String: AttributeValue] = [
        "alpha": .float(0.8), "beta": .float(0.5), "mode": .string("nesterov"), "norm_coefficient": .float(0.1),
    ]
    static let cases: [OperatorCase] = [
        step("Adagrad", count: 2, kinds: 3, ["decay_factor": .float(0.1), "norm_coefficient": .float(0.2)]),
        step("Adam", count: 0, kinds: 4),
        step(
            "Adam", count: 3, kinds: 4,
            ["norm_coefficient": .float(0.1), "norm_coefficient_post": .float(0.05), "beta": .float(0.9)]),
        step("Momentum", count: 0, kinds: 3, nesterov),
        step("Momentum", count: 2, kinds: 3, nesterov.merging(["mode": .string("standard")]) { $1 }),
    ]

    @Test(arguments: cases) func gradients(_ example: OperatorCase) throws {
        try example.checkGradients(seed: 5, outputs: example.operatorType == "Adam" ? 6 : 4)
    }

    @Test func refusals() {
        var example = Self.cases[0]
        example.inputs.removeLast()
        let missing = #expect(throws: GraphError.self) { try example.expand() }
        #expect(missing?.kind == .invalid)
        example = Self.cases[3]
        example.attributes["mode"] = .string("other")
        let mode = #expect(throws: GraphError.self) { try example.expand() }
        #expect(mode?.kind == .invalid)
    }
}
