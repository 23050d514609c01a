import TensorGraph
import TestSupport
import Testing

@testable import Operators

/// Runs an operation on constants; all of its outputs.
func run(_ operation: any Operation, _ inputs: [Constant], threads: Int = 2) throws -> [Constant] {
    var builder = GraphBuilder(batchSize: 1, evaluator: { _, _, _ in nil })
    var operands: [ValueID] = []
    for (index, input) in inputs.enumerated() { operands.append(builder.addInput("\(index)", input.type, batch: nil)) }
    let outputs = try builder.emitAll(operation, operands)
    for (index, output) in outputs.enumerated() { builder.addOutput("\(index)", output) }
    let named = Dictionary(uniqueKeysWithValues: inputs.enumerated().map { ("\($0)", $1) })
    let results = evaluate(builder.finish(), inputs: named, threads: threads)
    return outputs.indices.map { results["\($0)"]! }
}

/// Compares the gradient rule of one input with central differences of <g, f(x)> of step `step`; a step of any size is
/// exact where f is linear in that input.
func checkGradient(
    _ operation: any Operation, _ inputs: [Constant], index: Int = 0, step: Float, tolerance: Double = 1e-5,
    seed: UInt64 = 3
) throws {
    var numbers = Numbers(seed: seed)
    var builder = GraphBuilder(batchSize: 1, evaluator: { _, _, _ in nil })
    var operands: [ValueID] = []
    for (index, input) in inputs.enumerated() { operands.append(builder.addInput("\(index)", input.type, batch: nil)) }
    let outputs = try builder.emitAll(operation, operands)
    let type = builder.type(of: outputs[0])
    let g = builder.addInput("g", type, batch: nil)
    builder.followsBatch = false
    let node = try #require(builder.graph.producer(of: outputs[0]))
    let gradients: [ValueID?] = [g] + outputs.dropFirst().map { _ in nil }
    let gradient = try #require(
        try operation.inputGradient(index, of: node, outputGradients: gradients, in: &builder))
    builder.addOutput("gradient", gradient)
    var named = Dictionary(uniqueKeysWithValues: inputs.enumerated().map { ("\($0)", $1) })
    let direction = numbers.floats(type.shape)
    named["g"] = direction
    let result = try #require(evaluate(builder.finish(), inputs: named)["gradient"])
    #expect(result.type == inputs[index].type)
    let values = inputs[index].floatValues
    let expected = try values.indices.map { component in
        let ends = try [step, -step].map { shift in
            var moved = values
            moved[component] += shift
            var arguments = inputs
            arguments[index] = Constant(moved, shape: inputs[index].type.shape)
            return dot(try run(operation, arguments, threads: 1)[0].doubles, direction.doubles)
        }
        return (ends[0] - ends[1]) / (2 * Double(step))
    }
    #expect(agree(result.doubles, expected, tolerance: tolerance), "gradient of input \(index) of \(operation)")
}

/// The factor of the first output for inputs whose samples lie at `factors`, or the reason why they meet.
/// - Parameter elementTypes: of the inputs; floats beyond its end.
func outputFactor(
    _ operation: any Operation, _ shapes: [[Int]], _ factors: [BatchFactor?], batch: Int,
    elementTypes: [ElementType] = []
) throws -> Result<BatchFactor?, BatchMixing> {
    let types = shapes.enumerated().map { index, shape in
        TensorType(index < elementTypes.count ? elementTypes[index] : .float32, shape)
    }
    let operands = zip(types, factors).map { BatchOperand(type: $0, factor: $1, constant: nil, batchSize: batch) }
    let outputs = try operation.outputTypes(for: types)
    do {
        return .success(try operation.batchFactors(operands, outputs: outputs)[0])
    } catch {
        return .failure(error)
    }
}

/// Expands one node of a model by the registered operator and runs it; nil inputs are omitted ones.
/// - Parameter constants: inputs that are known when the node is expanded.
func runOperator(
    _ type: String, opset: Int, _ inputs: [Constant?], attributes: [String: AttributeValue] = [:], outputs: Int = 1,
    constants: Set<Int> = []
) throws -> [Constant] {
    let plugin = try #require(OperatorRegistry.standard.plugin(domain: "", operatorType: type, version: opset))
    var builder = GraphBuilder(batchSize: 1, evaluator: { _, _, _ in nil })
    var named: [String: Constant] = [:]
    let operands = inputs.enumerated().map { index, input in
        input.map { constant in
            if constants.contains(index) { return builder.addConstant(constant) }
            named["\(index)"] = constant
            return builder.addInput("\(index)", constant.type, batch: nil)
        }
    }
    let node = ImportedNode(
        name: "node", operatorType: type, opsetVersion: opset, inputs: inputs.indices.map { "\($0)" },
        outputs: (0..<outputs).map { "y\($0)" }, attributes: attributes)
    var expansion = Expansion(
        node: node, inputs: operands, builder: builder, referenceOutputShapes: [])
    let results = try plugin.expand(&expansion)
    for (index, result) in results.enumerated() { expansion.builder.addOutput("\(index)", result) }
    let values = evaluate(expansion.builder.finish(), inputs: named)
    return results.indices.map { values["\($0)"]! }
}
