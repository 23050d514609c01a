import Operators

extension ImportedGraph {
    /// The graph with the graphs inside its nodes written out once among them, so that it can be seen what a tensor is
    /// that is read there. It says what flows where, not how often, and is not for running.
    var withBodiesInline: ImportedGraph {
        guard nodes.contains(where: { !$0.capturedNames.isEmpty }) else { return self }
        var copy = self
        copy.nodes = []
        for node in nodes { node.writeOut(into: &copy.nodes, prefix: "") { $0 } }
        return copy
    }
}

extension ImportedNode {
    /// - Parameter outside: what a name at the node's place is called in the graph that is written.
    fileprivate func writeOut(
        into nodes: inout [ImportedNode], prefix: String, _ outside: (String) -> String
    ) {
        let bodies = attributes.sorted { $0.key < $1.key }.compactMap { key, value in
            if case .graph(let body) = value { (key, body) } else { nil }
        }
        if bodies.isEmpty {
            var copy = self
            copy.inputs = inputs.map { $0.isEmpty ? $0 : outside($0) }
            copy.outputs = outputs.map { $0.isEmpty ? $0 : outside($0) }
            nodes.append(copy)
            return
        }
        for (attribute, body) in bodies {
            let prefix = "\(prefix)\(name)/\(attribute)/"
            let own = Set(
                body.inputs.map(\.name) + body.initializers.map(\.name) + body.nodes.flatMap(\.outputs))
            func inside(_ name: String) -> String { own.contains(name) ? prefix + name : outside(name) }
            // A loop counts its runs and tests a condition before what it carries; so does an early scan with lengths.
            let counted = operatorType == "Loop" ? 2 : 0
            let skipped = operatorType == "Scan" && opsetVersion < 9 ? 1 : 0
            for (index, port) in body.inputs.enumerated().dropFirst(counted) {
                let source = index + skipped
                guard source < inputs.count, !inputs[source].isEmpty else { continue }
                nodes.append(identity(outside(inputs[source]), inside(port.name)))
            }
            for node in body.nodes { node.writeOut(into: &nodes, prefix: prefix, inside) }
            let returned = body.outputs.dropFirst(operatorType == "Loop" ? 1 : 0)
            for (output, port) in zip(outputs, returned) where !output.isEmpty {
                nodes.append(identity(inside(port.name), outside(output)))
            }
        }
    }

    private func identity(_ input: String, _ output: String) -> ImportedNode {
        ImportedNode(
            name: output, operatorType: "Identity", opsetVersion: opsetVersion, inputs: [input], outputs: [output])
    }
}
