import ONNXFormat
import Operators
import TensorGraph

/// A call of the program that the exporter had merged with an equal one, as a node of its own.
struct SplitCall: Sendable {
    /// The node that stood for both.
    var node: FileNode
    /// What reads its result instead of the other's.
    var rewirings: [ONNXEdits.Rewiring]
    /// The new node, which stands behind the other.
    var copy: ImportedNode
    /// The tensors that it reads in place of the other's.
    var tensors: [ImportedGraph.Initializer]
}

/// Takes calls apart that an exporter merged.
///
/// Of two equal calls, such as two fresh normalizations of one input or two fresh tokens that are expanded alike, dynamo's
/// optimizer leaves one, and one of their parameters. Who reads the result of the other still names it, and the graph
/// signature names its parameters: those that no call mentions any more. They are told by their names, in the module
/// nearest to that of the call that is left, or else the only ones of the same module; where that leaves several, the calls
/// stay merged.
struct SplitCalls {
    private(set) var graph: ImportedGraph
    private(set) var splits: [SplitCall] = []
    private let calls: ProgramCalls
    private let index: GraphIndex
    /// Parameters of the program that nothing in the graph mentions.
    private var unread: Set<String> = []

    /// - Throws: `ONNXFormatError` if a tensor that has to be looked at cannot be decoded.
    init(of graph: ImportedGraph) throws {
        self.graph = graph
        index = GraphIndex(graph)
        calls = ProgramCalls(index)
        if calls.isEmpty { return }
        unread = Set(graph.exporter.sources.values.filter { $0.kind == "PARAMETER" }.map(\.target))
        unread.subtract(ProgramCalls.tensors(in: graph))
        unread.subtract(graph.initializers.flatMap { [$0.name] + $0.foldedFrom })
        if unread.isEmpty { return }
        var nodes: [ImportedNode] = []
        for (position, node) in graph.nodes.enumerated() {
            nodes.append(node)
            if let split = try split(node, position) {
                nodes.append(split.copy)
                splits.append(split)
            }
        }
        if splits.isEmpty { return }
        for split in splits { self.graph.initializers += split.tensors }
        self.graph.nodes = nodes
        let rewired = Dictionary(grouping: splits.flatMap(\.rewirings), by: \.node)
        for position in nodes.indices {
            guard let file = nodes[position].fileNode, let rewirings = rewired[file.position] else { continue }
            for rewiring in rewirings { self.graph.nodes[position].inputs[rewiring.input] = rewiring.name }
        }
    }

    /// One line for the user; nil if nothing was taken apart.
    var note: String? {
        if splits.isEmpty { return nil }
        let names = nameList(splits.flatMap(\.tensors).map(\.name))
        return "took calls apart that the exporter had merged with equal ones, which read \(names)"
    }

    private mutating func split(_ node: ImportedNode, _ position: Int) throws -> SplitCall? {
        guard let file = node.fileNode, file.holds(node), node.outputs.count == 1,
            !calls.nodes(besides: node).flatMap(\.inputs).contains(where: isNumbers),
            let merged = calls.merged(into: node), let result = merged.first?.result,
            merged.allSatisfy({ $0.result == result }), index.producers[result] == nil,
            index.initializers[result] == nil
        else { return nil }
        var copy = node
        copy.name = "\(node.name).\(result)"
        copy.outputs = [result]
        copy.fileNode = nil
        var tensors: [ImportedGraph.Initializer] = []
        var renamed: [String: String] = [:]
        for (input, name) in node.inputs.enumerated() {
            let use = TensorUse(node: position, input: input)
            guard var tensor = index.initializers[name], tensor.dataType.isTrainable,
                try ParameterDiscovery(index).finding(tensor, uses: [use]).isParameter
            else { continue }
            let origin = calls.origin(of: tensor, at: TensorSite(path: [use], name: name))
            guard case .source(let own, part: 0)? = origin, own.count == 1, let other = counterpart(of: own[0]),
                index.initializers[other] == nil, index.producers[other] == nil
            else { return nil }
            tensor.name = other
            tensor.exportedKind = "PARAMETER"
            tensor.foldedFrom = []
            tensors.append(tensor)
            renamed[own[0]] = other
            copy.inputs[input] = other
        }
        let rewirings = merged.compactMap { place -> ONNXEdits.Rewiring? in
            let reader = index.node(place.use)
            guard let file = reader.fileNode, file.holds(reader) else { return nil }
            return ONNXEdits.Rewiring(node: file.position, input: place.use.input, name: result)
        }
        guard !tensors.isEmpty, rewirings.count == merged.count,
            let call = calls.renamed(node, result: result, tensors: renamed)
        else { return nil }
        unread.subtract(tensors.map(\.name))
        copy.metadata[ProgramCalls.key] = call
        return SplitCall(node: file, rewirings: rewirings, copy: copy, tensors: tensors)
    }

    /// Whether a value is a tensor of the file that may hold parameters.
    private func isNumbers(_ name: String) -> Bool {
        index.initializers[name].map { $0.isTrainable && $0.shape.reduce(1, *) > 1 } ?? false
    }

    /// The parameter that the merged call read where the one that is left reads `name`; nil if several may be meant.
    private func counterpart(of name: String) -> String? {
        let module = name.split(separator: ".").dropLast()
        func depth(_ other: String) -> Int {
            zip(module, other.split(separator: ".").dropLast()).prefix { $0 == $1 }.count
        }
        let alike = unread.filter { TensorName.leaf($0) == TensorName.leaf(name) }
        let nearest = alike.filter { depth($0) == alike.map(depth).max() }
        if !nearest.isEmpty { return nearest.count == 1 ? nearest.first : nil }
        let beside = unread.filter { $0.split(separator: ".").dropLast() == module }
        return beside.count == 1 ? beside.first : nil
    }
}
