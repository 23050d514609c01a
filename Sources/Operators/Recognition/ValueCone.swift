import Kernels
import TensorGraph

/// A value as a function of one other value, its root: the nodes between them, which nobody else reads.
///
/// Such a function is recognised by what it computes at chosen numbers, not by how it is spelled: exporters, opsets and
/// authors of models order the same few nodes in many ways.
struct ValueCone {
    let root: ValueID
    let result: ValueID
    /// In the order of the graph.
    private let nodes: [Node]
    var nodeCount: Int { nodes.count }
    /// The numbers that the nodes compute with.
    let scalars: [Float]

    /// Nodes that a spelled-out function may have; the longest of the known ones, Mish and GELU by tanh, have about ten.
    private static let mostNodes = 16

    /// All cones that end at `result`, smallest first.
    /// - Parameter includes: whether a node may lie in a cone; it reads numbers and what depends on the root alone.
    static func all(
        endingAt result: ValueID, _ readers: [ValueID: [Node]], in graph: Graph, including includes: (Node) -> Bool
    ) -> [ValueCone] {
        var cones: [ValueCone] = []
        var nodes: [Int: Node] = [:]
        var frontier: Set<ValueID> = [result]
        var scalars: [Float] = []
        // The value computed last goes first, so that all of its readers have been met.
        while nodes.count < mostNodes, let value = frontier.max(by: { graph.place(of: $0) < graph.place(of: $1) }),
            let node = graph.producer(of: value), node.outputs == [value], includes(node),
            value == result || graph.isRead(value, onlyBy: nodes, readers)
        {
            frontier.remove(value)
            nodes[graph.place(of: value)] = node
            for input in node.inputs {
                guard let constant = graph[input].constant else {
                    frontier.insert(input)
                    continue
                }
                guard constant.type.count == 1 else { return cones }
                if constant.type.elementType == .float32 { scalars.append(constant.floatValues[0]) }
            }
            if let unary = node.operation as? Unary, case .affine(let scale, let offset) = unary.function {
                scalars += [scale, offset]
            }
            guard frontier.count == 1, let root = frontier.first, graph.type(of: root) == graph.type(of: result) else {
                continue
            }
            cones.append(
                ValueCone(
                    root: root, result: result, nodes: nodes.sorted { $0.key < $1.key }.map(\.value), scalars: scalars))
        }
        return cones
    }

    /// Whether the result is `expected` where the root is `argument`, which may differ from the root in the sizes of axes
    /// that no node cares about.
    ///
    /// If a value on the way is the same already, what comes behind it does something that the arguments do not show, as
    /// a bound or a tiny addend before a logarithm do, and the answer is no.
    func computes(_ expected: [Float], at argument: Constant, in graph: Graph) -> Bool {
        var known = [root: argument]
        for node in nodes {
            let inputs = node.inputs.compactMap { known[$0] ?? graph[$0].constant }
            guard inputs.count == node.inputs.count,
                let types = try? node.operation.outputTypes(for: inputs.map(\.type)),
                let results = ConstantFolding.evaluator(node.operation, inputs, types)
            else { return false }
            known[node.output] = results[0]
        }
        let arguments = argument.floatValues
        return known.allSatisfy { value, constant in
            let isThere =
                constant.type.elementType == .float32 && Self.agree(constant.floatValues, expected, at: arguments)
            return isThere == (value == result)
        }
    }

    /// Whether two ways to compute the same numbers in float32 agree. That one of them overflows on its way to a finite
    /// number, far from zero, does not speak against it.
    private static func agree(_ found: [Float], _ expected: [Float], at arguments: [Float]) -> Bool {
        guard found.count == expected.count else { return false }
        return found.indices.allSatisfy { index in
            abs(found[index] - expected[index]) <= 2e-6 * max(1, abs(expected[index]))
                || !found[index].isFinite && abs(arguments[index]) > 50
        }
    }
}

extension GraphBuilder {
    /// Lets one node compute what several spell out, wherever `recognize` finds an operation and its operand for the
    /// result of an elementwise node.
    /// - Parameter loss: only what it depends on is looked at.
    mutating func replaceSpelledOut(
        before loss: ValueID,
        by recognize: (_ result: ValueID, _ readers: [ValueID: [Node]], Graph) -> (any Operation, ValueID)?
    ) throws(GraphError) {
        let readers = graph.readers(before: loss)
        for node in graph.nodes where node.operation is any ElementwiseOperation && readers[node.output] != nil {
            guard type(of: node.output).elementType == .float32,
                let (operation, operand) = recognize(node.output, readers, graph)
            else { continue }
            try replaceNode(computing: node.output, by: operation, [operand])
        }
    }
}

extension Graph {
    /// The number of the node that computes a value; -1 if none does.
    fileprivate func place(of value: ValueID) -> Int {
        if case .node(let number, _) = self[value].source { number } else { -1 }
    }

    fileprivate func isRead(_ value: ValueID, onlyBy nodes: [Int: Node], _ readers: [ValueID: [Node]]) -> Bool {
        readers[value, default: []].allSatisfy { reader in nodes[place(of: reader.outputs[0])] != nil }
    }
}
