extension ModelCheck {
    /// One node of the model, and what private training makes of it.
    public struct NodeRow: Sendable, Hashable {
        public enum Role: String, Sendable, Hashable, CaseIterable {
            /// A reason why private training is refused.
            case problem
            /// Parameters meet data here.
            case parameters
            /// Gradients flow through.
            case gradient
            /// Forward only.
            case forward
            /// Computes nothing but sizes and constants.
            case sizes
        }

        public var name: String
        public var operatorType: String
        public var role: Role
        /// Positions in `nodes` of the nodes whose results it reads.
        public var inputs: [Int]
        /// Initializers that it reads.
        public var parameters: [String]
    }

    /// Rows for all nodes in graph order; those of the graphs inside a node stand in front of it, since its results are
    /// theirs.
    static func nodeRows(
        _ graph: ImportedGraph, differentiated: Set<Origin>, sites: Set<Origin>, unsupported: Set<Origin>,
        blamed: Set<String>
    ) -> [NodeRow] {
        var names = NodeNames(graph)
        var rows: [NodeRow] = []
        func add(_ node: ImportedNode, _ names: inout NodeNames) {
            for body in node.bodies {
                var inside = names.inside(node, body)
                for inner in body.nodes { add(inner, &inside) }
                names.returned(body, node, from: inside)
            }
            let read = node.inputs + node.capturedNames.sorted()
            let computes = !["Shape", "Size"].contains(node.operatorType) && read.contains(where: names.isFromData)
            let nested = node.bodies.flatMap(\.nodesWithBodies).map(\.origin)
            let role: NodeRow.Role =
                if unsupported.contains(node.origin) || blamed.contains(node.origin.name) {
                    .problem
                } else if sites.contains(node.origin) {
                    .parameters
                } else if differentiated.contains(node.origin)
                    || nested.contains(where: { differentiated.contains($0) || sites.contains($0) })
                {
                    .gradient
                } else {
                    computes ? .forward : .sizes
                }
            rows.append(
                NodeRow(
                    name: node.origin.name, operatorType: node.operatorType, role: role,
                    inputs: names.producers(of: node.bodies.isEmpty ? read : node.inputs, node),
                    parameters: read.filter(names.isInitializer)))
            names.produced(by: rows.count - 1, node, computes: computes)
        }
        for node in graph.nodes { add(node, &names) }
        // Moves without a node of their own in the training graph hand on the gradient of what they read.
        var dependsOnParameters: [Bool] = []
        for row in rows {
            dependsOnParameters.append(
                row.role == .parameters || row.role == .gradient || row.inputs.contains { dependsOnParameters[$0] })
        }
        for position in rows.indices.reversed() where [.gradient, .parameters].contains(rows[position].role) {
            for source in rows[position].inputs
            where rows[source].role == .forward && moves.contains(rows[source].operatorType)
                && dependsOnParameters[source]
            {
                rows[source].role = .gradient
            }
        }
        return rows
    }

    private static let moves: Set<String> = [
        "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Cast", "Dropout",
    ]
}

/// Who produces what, by the names that can be read at one place of a model.
private struct NodeNames {
    private var initializers: Set<String>
    private var rows: [String: [Int]] = [:]
    private var fromData: Set<String>
    /// What the graphs inside a node return, by the node's outputs.
    private var fromBodies: [String: [Int]] = [:]

    init(_ graph: ImportedGraph) {
        initializers = Set(graph.initializers.map(\.name))
        fromData = Set(graph.inputs.map(\.name))
    }

    func isFromData(_ name: String) -> Bool { fromData.contains(name) }
    func isInitializer(_ name: String) -> Bool { initializers.contains(name) }

    /// Rows that produce `names`, and those inside the node that produce its outputs.
    func producers(of names: [String], _ node: ImportedNode) -> [Int] {
        let all = names.flatMap { rows[$0] ?? [] } + node.outputs.flatMap { fromBodies[$0] ?? [] }
        var seen: Set<Int> = []
        return all.filter { seen.insert($0).inserted }
    }

    mutating func produced(by row: Int, _ node: ImportedNode, computes: Bool) {
        for output in node.outputs where !output.isEmpty {
            rows[output] = [row]
            initializers.remove(output)
            if computes { fromData.insert(output) } else { fromData.remove(output) }
        }
    }

    /// The names in a graph of a node, whose inputs are the node's.
    func inside(_ node: ImportedNode, _ body: ImportedGraph) -> NodeNames {
        var copy = self
        for name in body.inputs.map(\.name) + body.initializers.map(\.name) {
            copy.initializers.remove(name)
            copy.fromData.remove(name)
            copy.rows[name] = nil
        }
        // A scan before version 9 has the lengths of the sequences first.
        let skipped = node.operatorType == "Scan" && node.opsetVersion < 9 ? 1 : 0
        for (index, port) in body.inputs.enumerated() {
            // What a function given as a graph reads is computed from all that the node reads.
            let isFunction = node.operatorType == "FlexAttention"
            let sources = isFunction ? node.inputs : Array(node.inputs.dropFirst(index + skipped).prefix(1))
            copy.rows[port.name] = sources.flatMap { rows[$0] ?? [] }
            if sources.contains(where: fromData.contains) { copy.fromData.insert(port.name) }
        }
        return copy
    }

    mutating func returned(_ body: ImportedGraph, _ node: ImportedNode, from inside: NodeNames) {
        // A loop returns first whether it goes on.
        let returned = body.outputs.dropFirst(node.operatorType == "Loop" ? 1 : 0)
        for (output, port) in zip(node.outputs, returned) {
            fromBodies[output, default: []] += inside.rows[port.name] ?? []
        }
    }
}
