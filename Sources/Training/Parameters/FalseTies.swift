import ONNXFormat
import Operators
import TensorGraph

/// A tensor that leaves a false tie to train on its own.
struct UntiedTensor: Sendable {
    var name: String
    /// What the exported program called it, where the file cannot.
    var knownAs: String?
    /// The tensor of the file that has been standing for it.
    var original: String
    var rewirings: [ONNXEdits.Rewiring]
}

/// Takes tensors apart that an exporter merged because they were equal.
struct FalseTies {
    private(set) var graph: ImportedGraph
    private(set) var untied: [UntiedTensor] = []
    private(set) var notes: [String] = []
    private let index: GraphIndex
    private let origins: TensorOrigins
    private let discovery: ParameterDiscovery
    private var names: Set<String>

    /// The sites of a tensor that share one origin.
    private struct Group {
        var origin: TensorOrigins.Origin
        var sites: [TensorSite]
    }

    /// Where the file's main graph reads a value.
    private struct FilePlace: Hashable {
        var node: Int
        var input: Int
    }

    /// - Throws: `ONNXFormatError` if a shared tensor cannot be decoded.
    init(of graph: ImportedGraph) throws {
        self.graph = graph
        index = GraphIndex(graph)
        origins = TensorOrigins(index)
        discovery = ParameterDiscovery(index)
        names = Self.names(in: graph)
        for tensor in graph.initializers where tensor.dataType.isTrainable { try separate(tensor) }
    }

    private static func names(in graph: ImportedGraph) -> Set<String> {
        var names = Set(graph.inputs.map(\.name) + graph.initializers.map(\.name))
        for node in graph.nodes {
            names.formUnion(node.inputs + node.outputs)
            for case .graph(let body) in node.attributes.values { names.formUnion(Self.names(in: body)) }
        }
        return names
    }

    private mutating func separate(_ tensor: ImportedGraph.Initializer) throws {
        let sites = index.sites(of: tensor.name)
        guard sites.count > 1, try couldTrain(tensor, sites) else { return }
        let groups = try withoutUntrained(groups(of: tensor, sites), tensor)
        guard groups.count > 1 else { return }
        var separated: [UntiedTensor] = []
        for group in groups.dropFirst() {
            guard let points = rewiringPoints(group, among: sites) else {
                let node = index.node(group.sites[0].use)
                notes.append(
                    "'\(tensor.name)' stays tied at \(node.origin), whose inputs the file's main graph does not have")
                continue
            }
            let (name, knownAs) = name(for: group, tensor, keptAt: groups[0].sites[0])
            for point in points { graph.nodes[point.node].inputs[point.input] = name }
            let places = Set(points.map { place($0)! })
            separated.append(
                UntiedTensor(
                    name: name, knownAs: knownAs, original: tensor.name,
                    rewirings: places.map { ONNXEdits.Rewiring(node: $0.node, input: $0.input, name: name) }
                        .sorted { ($0.node, $0.input) < ($1.node, $1.input) }))
            graph.initializers.append(described(tensor, as: name, group))
        }
        guard !separated.isEmpty else { return }
        // What is left of the tensor may be another than the one that gave it its name and kind.
        let position = graph.initializers.firstIndex { $0.name == tensor.name }!
        graph.initializers[position] = described(tensor, as: tensor.name, groups[0])
        untied += separated
        let list = nameList(separated.map { $0.knownAs ?? $0.name })
        notes.append("untied from '\(tensor.name)', which the exporter merged with equal tensors: \(list)")
    }

    /// Whether one of the merged tensors could be a parameter. What the exporter says of the tensor need not hold for
    /// the others.
    private func couldTrain(_ tensor: ImportedGraph.Initializer, _ sites: [TensorSite]) throws -> Bool {
        var other = tensor
        other.exportedKind = nil
        other.isComputed = !tensor.foldedFrom.isEmpty
        other.foldedFrom = []
        return try sites.contains { site in
            try discovery.finding(tensor, uses: [site.use]).isParameter
                || discovery.finding(other, uses: [site.use]).isParameter
        }
    }

    /// Groups of sites by origin; the first keeps the tensor.
    private func groups(of tensor: ImportedGraph.Initializer, _ sites: [TensorSite]) throws -> [Group] {
        let found = try origins.origins(of: tensor, at: sites) { TensorPattern.fill(of: try tensor.load()) }
        let own = Set([tensor.name] + tensor.foldedFrom)
        let direct = sites.firstIndex { $0.path.count == 1 } ?? 0
        let keeper =
            found.first { if case .source(let names, 0) = $0 { own.isSuperset(of: names) } else { false } }
            ?? found[direct]
        var groups = [Group(origin: keeper, sites: [])]
        var originOfPlace: [FilePlace: TensorOrigins.Origin] = [:]
        for (site, origin) in zip(sites, found) {
            var origin = origin == .itself || index.captured.contains(site.name) ? keeper : origin
            // One input of a call in the file, read at several places of the function behind it, is one site.
            if let place = site.path.lazy.compactMap(place).last {
                origin = originOfPlace[place] ?? origin
                originOfPlace[place] = origin
            }
            if let position = groups.firstIndex(where: { $0.origin == origin }) {
                groups[position].sites.append(site)
            } else {
                groups.append(Group(origin: origin, sites: [site]))
            }
        }
        return groups.filter { !$0.sites.isEmpty }
    }

    /// The groups with all of those that are no parameters in one: they may go on sharing.
    private func withoutUntrained(_ groups: [Group], _ tensor: ImportedGraph.Initializer) throws -> [Group] {
        var kept: [Group] = []
        var untrained: Int?
        for group in groups {
            let name =
                group.origin == groups[0].origin
                ? tensor.name : wishedName(for: group, tensor, keptAt: groups[0].sites[0])
            let finding = try discovery.finding(described(tensor, as: name, group), uses: group.sites.map(\.use))
            if finding.isParameter {
                kept.append(group)
            } else if let untrained {
                kept[untrained].sites += group.sites
            } else {
                untrained = kept.count
                kept.append(group)
            }
        }
        return kept
    }

    private func place(_ use: TensorUse) -> FilePlace? {
        guard let file = index.node(use).fileNode, let input = file.inputs[use.input] else { return nil }
        return FilePlace(node: file.position, input: input)
    }

    /// The inputs that have to read another tensor for the group to be separate: as near to the tensor as no other
    /// group's path leads through them. Nil if the file's main graph does not have such inputs.
    private func rewiringPoints(_ group: Group, among sites: [TensorSite]) -> [TensorUse]? {
        let own = Set(group.sites.map(\.use))
        let others = Set(sites.filter { !own.contains($0.use) }.flatMap(\.path))
        var points: [TensorUse] = []
        for site in group.sites {
            guard let point = site.path.first(where: { !others.contains($0) && place($0) != nil }) else { return nil }
            if !points.contains(point) { points.append(point) }
        }
        return points
    }

    // MARK: The new tensor

    private func described(
        _ tensor: ImportedGraph.Initializer, as name: String, _ group: Group
    ) -> ImportedGraph.Initializer {
        var copy = tensor
        copy.name = name
        switch group.origin {
        case .source(let sources, _):
            let exporter = index.graph.exporter
            if tensor.foldedFrom.isEmpty {
                copy.exportedKind = sources.count == 1 ? exporter.kind(ofTarget: sources[0]) : nil
            } else if sources.contains(where: { exporter.kind(ofTarget: $0) != nil }) {
                copy.foldedFrom = sources
            } else {
                copy.foldedFrom = exporter.sources(
                    tensor.foldedFrom, in: origins.scopes[group.sites[0].use.node],
                    among: index.sites(of: tensor.name).compactMap { origins.scopes[$0.use.node] })
            }
        case .constant:
            copy.exportedKind = "CONSTANT"
            copy.foldedFrom = []
        case .itself: break
        case .module, .place:
            if name != tensor.name {
                copy.exportedKind = nil
                copy.isComputed = !tensor.foldedFrom.isEmpty
                copy.foldedFrom = []
            }
        }
        return copy
    }

    /// A free name for the group's tensor, the program's own if possible, and the program's name if it is taken.
    private mutating func name(
        for group: Group, _ tensor: ImportedGraph.Initializer, keptAt site: TensorSite
    ) -> (String, String?) {
        let wished = wishedName(for: group, tensor, keptAt: site)
        var name = wished
        var number = 1
        while !names.insert(name).inserted {
            name = number == 1 ? "\(wished).untied" : "\(wished).untied\(number)"
            number += 1
        }
        return (name, name == wished ? nil : wished)
    }

    private func wishedName(
        for group: Group, _ tensor: ImportedGraph.Initializer, keptAt keptSite: TensorSite
    ) -> String {
        let site = group.sites[0]
        // An Identity of TorchScript's bears the name of the tensor that it hands on, be it a made-up one.
        let isHandedOn = graph.exporter.producer == "pytorch" && TensorName.isMadeUp(site.name)
        let base = isHandedOn ? site.name : tensor.name
        let isMadeUp = TensorName.isMadeUp(base) || !tensor.foldedFrom.isEmpty
        if case .source(let names, 0) = group.origin {
            return isMadeUp || names.count > 1 ? "\(base).\(names.joined(separator: "+"))" : names[0]
        }
        // A number that the exporter filled in is nothing of the module's.
        if group.origin == .constant { return "\(base).\(index.node(site.use).origin.name)" }
        let module = origins.scopes[site.use.node] ?? ""
        let leaf = TensorName.leaf(base)
        // Tensors that are called after their modules go on being called so.
        if !isMadeUp, !module.isEmpty, origins.scopes[keptSite.use.node].map({ "\($0).\(leaf)" }) == tensor.name {
            return "\(module).\(leaf)"
        }
        return "\(base).\(module.isEmpty ? index.node(site.use).origin.name : module)"
    }
}
