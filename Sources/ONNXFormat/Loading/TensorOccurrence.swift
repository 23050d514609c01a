import COnnxProto

/// A tensor of a model and where it stands.
struct TensorOccurrence {
    let pointer: UnsafePointer<Onnx__TensorProto>
    /// For error messages: file, and initializer or node with attribute.
    let place: String

    /// Every tensor of the model: main graph, subgraphs, functions and training information.
    static func all(in tree: ProtoTree, file: String) -> [TensorOccurrence] {
        var walk = Walk(file: file)
        let root = tree.root.pointee
        if let graph = root.graph { walk.visit(UnsafePointer(graph)) }
        for function in messages(root.functions, root.n_functions) {
            walk.visit(function.pointee.node, function.pointee.n_node)
            let owner = "function '\(text(function.pointee.name))'"
            walk.visit(function.pointee.attribute_proto, function.pointee.n_attribute_proto, of: owner)
        }
        for training in messages(root.training_info, root.n_training_info) {
            if let graph = training.pointee.initialization { walk.visit(UnsafePointer(graph)) }
            if let graph = training.pointee.algorithm { walk.visit(UnsafePointer(graph)) }
        }
        return walk.found
    }

    /// Recursion is as deep as subgraphs are nested, which `WireScan` bounds.
    private struct Walk {
        let file: String
        var found: [TensorOccurrence] = []

        mutating func visit(_ graph: UnsafePointer<Onnx__GraphProto>) {
            let graph = graph.pointee
            for tensor in messages(graph.initializer, graph.n_initializer) {
                add(tensor, "initializer '\(text(tensor.pointee.name))'")
            }
            for sparse in messages(graph.sparse_initializer, graph.n_sparse_initializer) {
                visit(sparse, "sparse initializer '\(text(sparse.pointee.values?.pointee.name))'")
            }
            visit(graph.node, graph.n_node)
        }

        mutating func visit(
            _ nodes: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__NodeProto>?>?, _ count: Int
        ) {
            for node in messages(nodes, count) where node.pointee.n_attribute > 0 {
                visit(node.pointee.attribute, node.pointee.n_attribute, of: describe(node))
            }
        }

        mutating func visit(
            _ attributes: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__AttributeProto>?>?, _ count: Int,
            of owner: String
        ) {
            for attribute in messages(attributes, count) {
                let attribute = attribute.pointee
                let what = "\(owner), attribute '\(text(attribute.name))'"
                if let tensor = attribute.t { add(UnsafePointer(tensor), what) }
                for tensor in messages(attribute.tensors, attribute.n_tensors) { add(tensor, what) }
                if let sparse = attribute.sparse_tensor { visit(UnsafePointer(sparse), what) }
                for sparse in messages(attribute.sparse_tensors, attribute.n_sparse_tensors) { visit(sparse, what) }
                if let graph = attribute.g { visit(UnsafePointer(graph)) }
                for graph in messages(attribute.graphs, attribute.n_graphs) { visit(graph) }
            }
        }

        mutating func visit(_ sparse: UnsafePointer<Onnx__SparseTensorProto>, _ what: String) {
            if let values = sparse.pointee.values { add(UnsafePointer(values), what) }
            if let indices = sparse.pointee.indices { add(UnsafePointer(indices), "\(what), indices") }
        }

        mutating func add(_ tensor: UnsafePointer<Onnx__TensorProto>, _ what: String) {
            found.append(TensorOccurrence(pointer: tensor, place: "\(file), \(what)"))
        }
    }
}

/// How error messages call a node: its name if it has one, else what it makes, and always its operator.
func describe(_ node: UnsafePointer<Onnx__NodeProto>) -> String {
    let operation = text(node.pointee.op_type)
    let name = text(node.pointee.name)
    if !name.isEmpty { return "node '\(name)' (\(operation))" }
    let outputs = texts(node.pointee.output, node.pointee.n_output)
    return "node \(operation) making '\(outputs.first ?? "")'"
}
