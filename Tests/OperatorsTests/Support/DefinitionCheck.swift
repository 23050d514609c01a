import Operators
import TensorGraph
import TestSupport
import Testing

/// Compares an operation's outputs with its definition in double precision, and its gradients with central differences
/// of that definition. The inputs must lie away from kinks.
///
/// - Parameters:
///   - gradients: the inputs whose gradient of <g, first output> is compared, g random.
///   - constants: inputs that the graph holds as constants, as folding leaves them.
func checkDefinition(
    _ operation: any Operation, _ inputs: [Constant], gradients: [Int] = [0], constants: Set<Int> = [],
    tolerance: Double = 1e-5, seed: UInt64 = 3
) throws {
    var numbers = Numbers(seed: seed)
    var builder = GraphBuilder(batchSize: 1, evaluator: { _, _, _ in nil })
    let operands = inputs.enumerated().map { index, input in
        constants.contains(index)
            ? builder.addConstant(input) : builder.addInput("\(index)", input.type, batch: nil)
    }
    let outputs = try builder.emitAll(operation, operands)
    for (index, output) in outputs.enumerated() { builder.addOutput("y\(index)", output) }
    let definition = ReferenceEvaluator(builder.finish())

    let type = builder.type(of: outputs[0])
    let direction = numbers.floats(type.shape)
    let g = builder.addInput("g", type, batch: nil)
    builder.followsBatch = false
    let node = try #require(builder.graph.producer(of: outputs[0]))
    for index in gradients {
        let gradient = try operation.inputGradient(
            index, of: node, outputGradients: [g] + outputs.dropFirst().map { _ in nil }, in: &builder)
        builder.addOutput("d\(index)", try #require(gradient, "input \(index)"))
    }
    let graph = builder.finish()
    try graph.checkWellFormed()
    var named = Dictionary(uniqueKeysWithValues: inputs.enumerated().map { ("\($0)", $1) })
    named["g"] = direction
    let results = evaluate(graph, inputs: named)

    let exact = named.doubles
    let expected = definition.run(inputs: exact)
    for index in outputs.indices {
        let name = "y\(index)"
        expectClose(results[name]!.doubles, expected[name]!, tolerance, "output \(index) of \(operation)")
    }
    for index in gradients {
        #expect(results["d\(index)"]!.type == inputs[index].type)
        var moved = exact
        let slopes = exact["\(index)"]!.enumerated().map { element, value in
            let step = 1e-5 * max(1, value.magnitude)
            let ends = [step, -step].map { shift in
                moved["\(index)"]![element] = value + shift
                return definition.run(inputs: moved)["y0"]!
            }
            moved["\(index)"]![element] = value
            // Differences first: what does not depend on this element cancels exactly.
            return dot(zip(ends[0], ends[1]).map { $0 - $1 }, exact["g"]!) / (2 * step)
        }
        expectClose(results["d\(index)"]!.doubles, slopes, tolerance, "gradient of input \(index) of \(operation)")
    }
}

/// Every element within `tolerance` of what is expected, relative to it; what is nearly zero within as much of 0.01.
func expectClose(
    _ actual: [Double], _ expected: [Double], _ tolerance: Double, _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(actual.count == expected.count, "\(what)", sourceLocation: sourceLocation)
    for (index, (x, y)) in zip(actual, expected).enumerated()
    where !(x == y || (x - y).magnitude <= tolerance * (y.magnitude + 0.01)) {
        Issue.record("\(what): \(x), not \(y), at \(index)", sourceLocation: sourceLocation)
        return
    }
}
