import ONNXFormat
import Operators
import TensorGraph

/// A bias that the exporter left out of layers because it was zero.
struct DroppedBias: Sendable {
    /// The graph's tensor for it.
    var name: String
    /// Whether the file has no such tensor; it may read it elsewhere.
    var isNew: Bool
    var type: ONNXElementType
    var shape: [Int]
    /// Inputs that are to read it; each is behind the last input of its node.
    var rewirings: [ONNXEdits.Rewiring]
}

/// Gives layers back the biases that an exporter left out.
///
/// Dynamo's optimizer takes the bias from a `Gemm`, `Conv` or `ConvTranspose` if it is zero, as that of a fresh head is.
/// The program's call, which is written beside the node, still names it.
struct DroppedBiases {
    private(set) var graph: ImportedGraph
    private(set) var restored: [DroppedBias] = []
    /// What the program calls them.
    private var programNames: [String] = []
    /// What the program calls biases that cannot be put back.
    private var lost: [String] = []

    init(of graph: ImportedGraph) throws {
        self.graph = graph
        let index = GraphIndex(graph)
        let calls = ProgramCalls(index)
        if calls.isEmpty { return }
        for (position, node) in graph.nodes.enumerated() {
            guard node.inputs.count == 2, ["Gemm", "Conv", "ConvTranspose"].contains(node.operatorType),
                let name = calls.bias(of: node), graph.exporter.kind(ofTarget: name) == "PARAMETER"
            else { continue }
            guard let file = node.fileNode, file.holds(node), let weight = index.initializers[node.inputs[1]],
                let count = Self.channels(of: node, weight),
                let tensor = try self.tensor(name, count, like: weight, calls, index)
            else {
                if !lost.contains(name) { lost.append(name) }
                continue
            }
            self.graph.nodes[position].inputs.append(tensor)
            self.graph.nodes[position].fileNode!.inputs.append(2)
            if !programNames.contains(name) { programNames.append(name) }
            let rewiring = ONNXEdits.Rewiring(node: file.position, input: 2, name: tensor)
            if let known = restored.firstIndex(where: { $0.name == tensor }) {
                restored[known].rewirings.append(rewiring)
            } else {
                let isNew = index.initializers[tensor] == nil
                restored.append(
                    DroppedBias(
                        name: tensor, isNew: isNew, type: weight.dataType, shape: [count], rewirings: [rewiring]))
            }
        }
    }

    /// One line each for the user.
    var notes: [String] {
        var notes: [String] = []
        if !programNames.isEmpty {
            notes.append("gave back what the exporter left out because it was zero: \(nameList(programNames))")
        }
        if !lost.isEmpty {
            notes.append(
                "not trained where the exporter left it out because it was zero: \(nameList(lost)); "
                    + "export with optimize=False to train it")
        }
        return notes
    }

    /// The graph's tensor for a bias of the program: a new one, unless another place reads the bias; nil if something else
    /// bears its name, or the bias is not zero any more where it is read.
    private mutating func tensor(
        _ name: String, _ count: Int, like weight: ImportedGraph.Initializer, _ calls: ProgramCalls, _ index: GraphIndex
    ) throws -> String? {
        let alike = graph.initializers.filter { $0.shape == [count] && $0.dataType == weight.dataType }
        // Where the bias is kept it may have been merged with other zeros.
        let known =
            alike.first { $0.name == name }
            ?? alike.first { tensor in
                index.sites(of: tensor.name).contains { site in
                    calls.origin(of: tensor, at: site) == .source([name], part: 0)
                }
            }
        if let known { return TensorPattern.fill(of: try known.load()) == 0 ? known.name : nil }
        if graph.initializers.contains(where: { $0.name == name }) { return nil }
        if index.producers[name] != nil || graph.inputs.contains(where: { $0.name == name }) { return nil }
        graph.initializers.append(
            ImportedGraph.Initializer(
                name: name, dataType: weight.dataType, shape: [count], exportedKind: "PARAMETER",
                load: { Constant([Float](repeating: 0, count: count)) }))
        return name
    }

    /// How many numbers the bias of a layer has; nil if the node takes none.
    private static func channels(of node: ImportedNode, _ weight: ImportedGraph.Initializer) -> Int? {
        func number(_ name: String) -> Int? {
            if case .int(let value)? = node.attributes[name] { value } else { nil }
        }
        switch (node.operatorType, weight.shape.count) {
        case ("Gemm", 2): return weight.shape[number("transB") == 1 ? 0 : 1]
        case ("Conv", 3...): return weight.shape[0]
        case ("ConvTranspose", 3...): return weight.shape[1] * (number("group") ?? 1)
        default: return nil
        }
    }
}
