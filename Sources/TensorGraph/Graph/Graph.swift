/// Names a value of one graph.
public struct ValueID: Hashable, Sendable, Comparable {
    public let index: Int

    public init(index: Int) { self.index = index }

    public static func < (left: ValueID, right: ValueID) -> Bool { left.index < right.index }
}

/// Where a node comes from in the model, for messages: `Softmax 'encoder/attn/Softmax'`.
public struct Origin: Hashable, Sendable, CustomStringConvertible {
    public var operatorType: String
    public var name: String

    public init(operatorType: String, name: String) {
        self.operatorType = operatorType
        self.name = name
    }

    public var description: String { "node '\(name)' (\(operatorType))" }
}

/// One application of a primitive operation. All inputs are present; optional ONNX inputs are resolved before.
public struct Node: Sendable {
    public let operation: any Operation
    public let inputs: [ValueID]
    public let outputs: [ValueID]
    public let origin: Origin

    /// The only output of a node that has one.
    public var output: ValueID { outputs[0] }
}

/// A tensor that flows through a graph.
public struct Value: Sendable {
    public enum Source: Sendable {
        /// Fed by the caller on every run.
        case input(name: String)
        /// A trainable tensor; named as the initializer it comes from.
        case parameter(name: String)
        case constant(Constant)
        /// Output number `output` of node number `node`.
        case node(Int, output: Int)
    }

    public let type: TensorType
    public let source: Source
    /// How the samples of the batch lie in the value.
    public internal(set) var batch: BatchState
    /// True if a trainable parameter reaches this value.
    public let dependsOnParameter: Bool

    public var constant: Constant? {
        if case .constant(let constant) = source { constant } else { nil }
    }
}

/// A directed acyclic graph of primitive operations over values of concrete type; nodes are in topological order.
///
/// A graph is built by `GraphBuilder` and holds the forward computation, or the whole private training step.
public struct Graph: Sendable {
    public internal(set) var values: [Value] = []
    public internal(set) var nodes: [Node] = []
    public internal(set) var inputs: [(name: String, value: ValueID)] = []
    public internal(set) var parameters: [(name: String, value: ValueID)] = []
    public internal(set) var outputs: [(name: String, value: ValueID)] = []

    public subscript(value: ValueID) -> Value { values[value.index] }

    public func type(of value: ValueID) -> TensorType { values[value.index].type }

    /// The node that computes `value`, or nil for inputs, parameters, constants and what has been pruned.
    public func producer(of value: ValueID) -> Node? {
        guard case .node(let node, let output) = values[value.index].source, nodes.indices.contains(node),
            nodes[node].outputs.indices.contains(output), nodes[node].outputs[output] == value
        else { return nil }
        return nodes[node]
    }

    public func input(named name: String) -> ValueID? { inputs.first { $0.name == name }?.value }

    public func output(named name: String) -> ValueID? { outputs.first { $0.name == name }?.value }

    public func parameter(named name: String) -> ValueID? { parameters.first { $0.name == name }?.value }
}
