import TensorGraph
import TestSupport
import Testing

@testable import Operators

/// One node of a model and its inputs; nil inputs are omitted ones.
struct OperatorCase: Sendable, CustomTestStringConvertible {
    var name: String
    var operatorType: String
    var opset: Int
    var domain = ""
    var inputs: [Constant?]
    var attributes: [String: AttributeValue] = [:]
    var outputs = 1
    /// Inputs that are known when the node is expanded.
    var constants: Set<Int> = []

    var testDescription: String { name }

    /// Emits the node into a graph; `batch` says where the samples lie in each input, nil where there are none.
    func expand(
        batchSize: Int = 1, batch: [BatchFactor?]? = nil, evaluator: @escaping ConstantEvaluator = { _, _, _ in nil }
    ) throws -> (builder: GraphBuilder, inputs: [ValueID?], outputs: [ValueID]) {
        let plugin = try #require(
            OperatorRegistry.standard.plugin(domain: domain, operatorType: operatorType, version: opset))
        var builder = GraphBuilder(batchSize: batchSize, evaluator: evaluator)
        let operands = inputs.enumerated().map { index, input in
            input.map {
                constants.contains(index)
                    ? builder.addConstant($0) : builder.addInput("\(index)", $0.type, batch: batch?[index])
            }
        }
        let node = ImportedNode(
            name: "node", domain: domain, operatorType: operatorType, opsetVersion: opset,
            inputs: inputs.indices.map { "\($0)" },
            outputs: (0..<outputs).map { "y\($0)" }, attributes: attributes)
        var expansion = Expansion(node: node, inputs: operands, builder: builder, referenceOutputShapes: [])
        let results = try plugin.expand(&expansion)
        return (expansion.builder, operands, results)
    }

    /// Compares the gradients of sum <g_k, y_k> over the first `outputs`, or all, with random g_k, with central differences in double
    /// precision, for every float input.
    func checkGradients(seed: UInt64, outputs count: Int? = nil, tolerance: Double = 2e-5) throws {
        var numbers = Numbers(seed: seed)
        var (builder, operands, outputs) = try expand()
        outputs = Array(outputs.prefix(count ?? outputs.count))
        var named: [String: Constant] = [:]
        for (index, input) in inputs.enumerated() { named["\(index)"] = input }
        let forwardNodes = builder.graph.nodes
        var contributions: [ValueID: [ValueID]] = [:]
        for (index, output) in outputs.enumerated() {
            named["g\(index)"] = numbers.floats(builder.shape(of: output))
            contributions[output, default: []].append(
                builder.addInput("g\(index)", builder.type(of: output), batch: nil))
            builder.addOutput("y\(index)", output)
        }
        builder.followsBatch = false
        func total(_ value: ValueID) throws -> ValueID? {
            guard let parts = contributions[value] else { return nil }
            return try parts.dropFirst().reduce(parts[0]) { try builder.add($0, $1) }
        }
        for node in forwardNodes.reversed() where node.outputs.contains(where: { contributions[$0] != nil }) {
            let gradients = try node.outputs.map(total)
            for (index, input) in node.inputs.enumerated()
            where builder.type(of: input).elementType == .float32 && builder.constant(input) == nil {
                let gradient = try node.operation.inputGradient(
                    index, of: node, outputGradients: gradients, in: &builder)
                if let gradient { contributions[input, default: []].append(gradient) }
            }
        }
        var differentiated: [Int] = []
        for (index, operand) in operands.enumerated() {
            guard let operand, !constants.contains(index), let gradient = try total(operand) else { continue }
            builder.addOutput("d\(index)", gradient)
            differentiated.append(index)
        }
        #expect(
            differentiated
                == inputs.indices.filter { inputs[$0]?.type.elementType == .float32 && !constants.contains($0) })
        let results = evaluate(builder.finish(), inputs: named)
        var forward = try expand()
        forward.outputs = outputs
        for index in differentiated {
            let expected = differences(forward, named, index: index)
            let actual = try #require(results["d\(index)"])
            #expect(actual.type == inputs[index]!.type)
            #expect(relativeError(actual.doubles, expected) < tolerance, "gradient of input \(index)")
        }
    }

    private func differences(
        _ forward: (builder: GraphBuilder, inputs: [ValueID?], outputs: [ValueID]), _ named: [String: Constant],
        index: Int
    ) -> [Double] {
        var builder = forward.builder
        for (index, output) in forward.outputs.enumerated() { builder.addOutput("y\(index)", output) }
        let evaluator = ReferenceEvaluator(builder.finish())
        let step = 1e-5
        let values = named.doubles
        return values["\(index)"]!.indices.map { element in
            let ends = [step, -step].map { shift in
                var moved = values
                moved["\(index)"]![element] += shift
                let outputs = evaluator.run(inputs: moved)
                return forward.outputs.indices.reduce(0) { $0 + dot(outputs["y\($1)"]!, values["g\($1)"]!) }
            }
            return (ends[0] - ends[1]) / (2 * step)
        }
    }
}
