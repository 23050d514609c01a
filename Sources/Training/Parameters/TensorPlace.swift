import ONNXFormat
public import Operators

/// A place where a graph reads one of its floating-point tensors, and what the exporter says of the tensor there.
public struct TensorPlace: Sendable {
    /// Position of the reading node in the graph with the bodies of its nodes written out, and the input.
    public struct Position: Hashable, Sendable {
        public var node: Int
        public var input: Int
    }

    public var position: Position
    public var operatorType: String
    /// The tensor of the file.
    public var tensor: String
    /// Names of the exported program's tensors that are read here: of one, or of several that were folded into it.
    public var programNames: [String]
    /// The module of the program that reads, as a dotted path; nil if the file does not say.
    public var module: String?
    /// Whether the exporter merged equal calls of the program, which read equal tensors, into the one that reads here.
    public var isMerged: Bool
}

extension ImportedGraph {
    /// The program's tensors that it reads, by name, as far as the exporter says; among them those that the exporter left
    /// out of the graph because their values changed nothing.
    public var programReads: Set<String> { ProgramCalls.tensors(in: withBodiesInline) }

    /// Every place where a floating-point tensor is read, in graph order; places of nodes that reach no output are left
    /// out.
    /// - Throws: `ONNXFormatError` if a tensor that has to be looked at cannot be decoded.
    public func tensorPlaces() throws -> [TensorPlace] {
        let graph = withBodiesInline
        let index = GraphIndex(graph)
        let origins = TensorOrigins(index)
        var places: [TensorPlace] = []
        for tensor in graph.initializers where tensor.dataType.isTrainable {
            let sites = index.sites(of: tensor.name)
            guard !sites.isEmpty else { continue }
            let found = try origins.origins(of: tensor, at: sites) { TensorPattern.fill(of: try tensor.load()) }
            for (site, origin) in zip(sites, found) {
                let names: [String] = if case .source(let names, 0) = origin { names } else { [] }
                places.append(
                    TensorPlace(
                        position: .init(node: site.use.node, input: site.use.input),
                        operatorType: index.node(site.use).operatorType, tensor: tensor.name, programNames: names,
                        module: origins.scopes[site.use.node], isMerged: origins.calls.isMerged(index.node(site.use))))
            }
        }
        return places.sorted { ($0.position.node, $0.position.input) < ($1.position.node, $1.position.input) }
    }
}
