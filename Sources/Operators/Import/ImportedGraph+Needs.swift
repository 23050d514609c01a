extension ImportedNode {
    /// The graphs that the node holds as attributes.
    public var bodies: [ImportedGraph] {
        attributes.sorted { $0.key < $1.key }.compactMap { if case .graph(let body) = $0.value { body } else { nil } }
    }

    /// The node and those of the graphs inside it.
    public var withBodies: [ImportedNode] { [self] + bodies.flatMap(\.nodesWithBodies) }

    /// Names that the graphs inside the node read from around them.
    public var capturedNames: Set<String> {
        var names: Set<String> = []
        for body in bodies {
            var own = Set(body.inputs.map(\.name) + body.initializers.map(\.name))
            for inner in body.nodes {
                names.formUnion(inner.inputs.filter { !own.contains($0) && !$0.isEmpty })
                names.formUnion(inner.capturedNames.subtracting(own))
                own.formUnion(inner.outputs)
            }
            names.formUnion(body.outputs.map(\.name).filter { !own.contains($0) })
        }
        return names
    }
}

extension ImportedGraph {
    /// The nodes, each followed by those of the graphs inside it.
    public var nodesWithBodies: [ImportedNode] { nodes.flatMap(\.withBodies) }

    /// The nodes that reach an output, in order.
    var neededNodes: [ImportedNode] {
        var names = Set(outputs.map(\.name))
        var kept: [ImportedNode] = []
        for node in nodes.reversed() where node.outputs.contains(where: names.contains) {
            names.formUnion(node.inputs)
            names.formUnion(node.capturedNames)
            kept.append(node)
        }
        return kept.reversed()
    }
}
