public import TensorGraph

/// Computes a graph by the definitions of its operations, in double precision, with every value in memory of its own.
///
/// It shares no code with the kernels, so what it computes is an oracle for them. Integers and bools are held as the
/// doubles that they equal.
public struct ReferenceEvaluator {
    private let graph: Graph
    private let constants: [ValueID: [Double]]
    private let steps: [ReferenceRule]

    public init(_ graph: Graph) {
        self.graph = graph
        var constants: [ValueID: [Double]] = [:]
        for (index, value) in graph.values.enumerated() {
            if let constant = value.constant { constants[ValueID(index: index)] = constant.doubles }
        }
        self.constants = constants
        steps = graph.nodes.map { node in
            referenceRule(
                node.operation, node.inputs.map(graph.type(of:)), node.outputs.map(graph.type(of:)))
        }
    }

    /// The outputs by name.
    public func run(inputs: [String: [Double]], parameters: [String: [Double]] = [:]) -> [String: [Double]] {
        var values = [[Double]?](repeating: nil, count: graph.values.count)
        for (value, elements) in constants { values[value.index] = elements }
        for (name, value) in graph.inputs { values[value.index] = inputs[name] }
        for (name, value) in graph.parameters { values[value.index] = parameters[name] }
        for (node, step) in zip(graph.nodes, steps) {
            let results = step(node.inputs.map { values[$0.index]! })
            for (output, result) in zip(node.outputs, results) { values[output.index] = result }
        }
        return Dictionary(uniqueKeysWithValues: graph.outputs.map { ($0.name, values[$0.value.index]!) })
    }
}

extension [String: Constant] {
    /// The elements of every tensor.
    public var doubles: [String: [Double]] { mapValues(\.doubles) }
}
