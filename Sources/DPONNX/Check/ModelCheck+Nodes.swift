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

    /// Rows for all nodes of the main graph, in graph order.
    static func nodeRows(
        _ graph: ImportedGraph, differentiated: Set<Origin>, sites: Set<Origin>, unsupported: Set<Origin>,
        blamed: Set<String>
    ) -> [NodeRow] {
        let initializers = Set(graph.initializers.map(\.name))
        var producers: [String: Int] = [:]
        var fromValues = Set(graph.inputs.map(\.name))
        var rows: [NodeRow] = graph.nodes.enumerated().map { position, node in
            let read = node.inputs + node.capturedNames
            let computes = !["Shape", "Size"].contains(node.operatorType) && read.contains(where: fromValues.contains)
            if computes { fromValues.formUnion(node.outputs) }
            let role: NodeRow.Role =
                if unsupported.contains(node.origin) || blamed.contains(node.origin.name) {
                    .problem
                } else if sites.contains(node.origin) {
                    .parameters
                } else if differentiated.contains(node.origin) {
                    .gradient
                } else {
                    computes ? .forward : .sizes
                }
            var inputs: [Int] = []
            for name in read {
                if let source = producers[name], !inputs.contains(source) { inputs.append(source) }
            }
            for output in node.outputs where !output.isEmpty { producers[output] = position }
            return NodeRow(
                name: node.origin.name, operatorType: node.operatorType, role: role, inputs: inputs,
                parameters: read.filter(initializers.contains))
        }
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
