public import Operators

/// The module of the exported program that each node belongs to, as a dotted path; "" is the whole program.
///
/// Dynamo writes it into the node's metadata: `pkg.torch.onnx.name_scopes`, `['', 'encoder', 'encoder.layers.0', 'add']`,
/// or the older `namespace`, `: Model/encoder: Encoder/add: aten.add`. TorchScript and others write it into the node's
/// name, `/encoder/layers.0/Add`. There TorchScript numbers repeated calls of one module, in the last component:
/// `/encoder/layers.0_1/Add`. The number is taken off again if the module without it has nodes too and no tensor is
/// named after a module of that name.
public struct ModuleScopes {
    /// By position of the node; nil if nothing is known.
    private let modules: [String?]
    private let calls: [String?]

    public init(_ graph: ImportedGraph) {
        let paths = graph.nodes.map(Self.path)
        let known = Set(paths.compactMap { $0.map(Self.dotted) })
        var tensors = Set(graph.initializers.map(\.name))
        for node in graph.nodes where node.operatorType == "Identity" { tensors.formUnion(node.outputs) }
        var owners: Set<Substring> = []
        for name in tensors {
            for dot in name.indices where name[dot] == "." { owners.insert(name[..<dot]) }
        }
        calls = zip(graph.nodes, paths).map { node, path in
            path.flatMap { Self.stated(node) == nil ? Self.dotted($0) : nil }
        }
        let stated = zip(graph.nodes, paths).map { node, path -> String? in
            if let stated = Self.stated(node) { return stated }
            guard let path else { return nil }
            let dotted = Self.dotted(path)
            guard let base = Self.withoutNumber(path).map(Self.dotted), known.contains(base),
                !owners.contains(dotted[...])
            else { return dotted }
            return base
        }
        modules = Self.withReaders(stated, graph)
    }

    /// Nodes that an optimiser made, of which nothing is said, belong to the one module that reads what they compute.
    private static func withReaders(_ stated: [String?], _ graph: ImportedGraph) -> [String?] {
        guard stated.contains(where: { $0 != nil }), stated.contains(nil) else { return stated }
        var modules = stated
        var readers: [String: [Int]] = [:]
        for (position, node) in graph.nodes.enumerated() {
            for input in node.inputs { readers[input, default: []].append(position) }
        }
        for (position, node) in graph.nodes.enumerated().reversed() where stated[position] == nil {
            let found = Set(node.outputs.flatMap { readers[$0] ?? [] }.map { modules[$0] })
            if found.count == 1 { modules[position] = found.first! }
        }
        return modules
    }

    /// The module of the node at a position; nil if the exporter does not say.
    public subscript(node: Int) -> String? { modules[node] }

    /// Tells one call of a module from another, where the exporter does; nil where it does not.
    func call(_ node: Int) -> String? { calls[node] }

    private static func stated(_ node: ImportedNode) -> String? {
        for metadata in [node.metadata, node.fileNode?.metadata ?? [:]] {
            if let list = metadata["pkg.torch.onnx.name_scopes"] {
                let scopes = Exporter.names(list: list)
                if scopes.count >= 2 { return scopes[scopes.count - 2] }
            }
            if let text = metadata["namespace"] {
                let scopes = text.split(separator: "/").map { $0.prefix { $0 != ":" } }
                if scopes.count >= 2 { return String(scopes[scopes.count - 2]) }
            }
        }
        return nil
    }

    /// The components before the last of a name that has slashes.
    private static func path(_ node: ImportedNode) -> [Substring]? {
        let name = node.fileNode?.name ?? node.name
        return name.contains("/") ? name.split(separator: "/").dropLast() : nil
    }

    /// Components joined by dots; one that repeats the one before it, `tower/tower.0`, says it all.
    private static func dotted(_ path: [Substring]) -> String {
        var parts: [Substring] = []
        for part in path {
            if let last = parts.last, part.hasPrefix(last + ".") { parts.removeLast() }
            parts.append(part)
        }
        return parts.joined(separator: ".")
    }

    private static func withoutNumber(_ path: [Substring]) -> [Substring]? {
        guard let last = path.last, let mark = last.lastIndex(of: "_"), mark > last.startIndex else { return nil }
        let number = last[last.index(after: mark)...]
        guard !number.isEmpty, number.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        return path.dropLast() + [last[..<mark]]
    }
}
