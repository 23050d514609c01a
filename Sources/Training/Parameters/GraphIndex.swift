import Operators
import TensorGraph

/// One place where a value is read.
struct TensorUse: Hashable {
    /// Position in `ImportedGraph.nodes`.
    var node: Int
    var input: Int
}

/// Who reads and who computes the values of a graph, and which of them depend on data.
struct GraphIndex {
    let graph: ImportedGraph
    let initializers: [String: ImportedGraph.Initializer]
    /// Reading inputs of nodes that reach an output, in graph order.
    let readers: [String: [TensorUse]]
    /// Position of the node that computes a value.
    let producers: [String: Int]
    /// Values read inside subgraphs of nodes that reach an output.
    let captured: Set<String>
    /// Values computed from the graph's inputs.
    private let fromData: Set<String>
    /// Values computed from the numbers in the graph's inputs, and not from their sizes alone.
    private let fromValues: Set<String>

    init(_ graph: ImportedGraph) {
        self.graph = graph
        initializers = Dictionary(graph.initializers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var producers: [String: Int] = [:]
        var fromData = Set(graph.inputs.map(\.name))
        var fromValues = fromData
        for (position, node) in graph.nodes.enumerated() {
            for output in node.outputs where !output.isEmpty { producers[output] = position }
            if !["Shape", "Size"].contains(node.operatorType),
                (node.inputs + node.capturedNames).contains(where: fromValues.contains)
            {
                fromValues.formUnion(node.outputs.filter { !$0.isEmpty })
            }
            if node.inputs.contains(where: fromData.contains)
                || node.capturedNames.contains(where: fromData.contains)
            {
                fromData.formUnion(node.outputs.filter { !$0.isEmpty })
            }
        }
        self.producers = producers
        self.fromData = fromData
        self.fromValues = fromValues
        var needed = Set(graph.outputs.map(\.name))
        var readers: [String: [TensorUse]] = [:]
        var captured: Set<String> = []
        for (position, node) in graph.nodes.enumerated().reversed() where node.outputs.contains(where: needed.contains)
        {
            let captures = node.capturedNames
            captured.formUnion(captures)
            needed.formUnion(captures)
            for (input, name) in node.inputs.enumerated().reversed() where !name.isEmpty {
                needed.insert(name)
                readers[name, default: []].append(TensorUse(node: position, input: input))
            }
        }
        self.readers = readers.mapValues { $0.reversed() }
        self.captured = captured
    }

    func node(_ use: TensorUse) -> ImportedNode { graph.nodes[use.node] }

    /// Every input that reads the value; those of nodes that reach no output are left out.
    func uses(of name: String) -> [TensorUse] { readers[name] ?? [] }

    func producer(of name: String) -> ImportedNode? { producers[name].map { graph.nodes[$0] } }

    /// The numbers behind a value: an initializer's or a `Constant` node's; nil for any other value and where they cannot
    /// be read.
    func constant(_ name: String) -> Constant? {
        if let initializer = initializers[name] { return try? initializer.load() }
        guard let node = producer(of: name), node.operatorType == "Constant" else { return nil }
        switch node.attributes["value"] ?? node.attributes["value_ints"] ?? node.attributes["value_int"] {
        case .tensor(let value, _): return value
        case .ints(let values): return Constant(values.map(Int64.init))
        case .int(let value): return Constant([Int64(value)], shape: [])
        default: return nil
        }
    }

    func dependsOnData(_ name: String) -> Bool { fromData.contains(name) }

    func dependsOnValues(_ name: String) -> Bool { fromValues.contains(name) }

    /// Whether a node computes with parameters and constants only.
    func isFreeOfData(_ node: ImportedNode) -> Bool { !node.outputs.contains(where: fromData.contains) }
}
