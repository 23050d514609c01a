import COnnxProto

extension EditedModel {
    mutating func rename(_ renamings: [ONNXEdits.Insertions.Renaming]) throws(ONNXFormatError) {
        let graph = model.tree.root.pointee.graph.pointee
        for renaming in renamings {
            guard (0..<graph.n_node).contains(renaming.node),
                (0..<graph.node[renaming.node]!.pointee.n_output).contains(renaming.output)
            else { throw invalid("node \(renaming.node) has no output \(renaming.output)") }
            let copy = changeable(UnsafePointer(graph.node[renaming.node]!))
            copy.pointee.output[renaming.output] = arena.string(renaming.name)
        }
    }

    /// Puts new nodes and tensors into the edited graph.
    func insert(
        _ insertions: ONNXEdits.Insertions, into root: UnsafeMutablePointer<Onnx__ModelProto>
    ) throws(ONNXFormatError) {
        guard !insertions.nodes.isEmpty || !insertions.tensors.isEmpty else { return }
        var names = model.valueNames
        for name in insertions.tensors.map(\.name) + insertions.renamings.map(\.name) {
            guard names.insert(name).inserted else { throw invalid("the name '\(name)' is taken") }
        }
        var graph = root.pointee.graph.pointee
        let added = Dictionary(grouping: insertions.nodes, by: \.after)
        guard added.keys.allSatisfy((0..<graph.n_node).contains) else { throw invalid("a node to insert has no place") }
        var nodes: [UnsafeMutablePointer<Onnx__NodeProto>?] = []
        for position in 0..<graph.n_node {
            nodes.append(graph.node[position])
            for node in added[position] ?? [] {
                nodes.append(make(node, like: node.copies ? model.tree.root.pointee.graph.pointee.node[position] : nil))
            }
        }
        graph.node = arena.array(of: nodes)
        graph.n_node = nodes.count
        let tensors = insertions.tensors.map(make)
        graph.initializer = arena.array(graph.initializer, graph.n_initializer, adding: tensors)
        graph.n_initializer += tensors.count
        root.pointee.graph = arena.copy(graph)
    }

    private func make(
        _ node: ONNXEdits.Insertions.Node, like source: UnsafeMutablePointer<Onnx__NodeProto>?
    ) -> UnsafeMutablePointer<Onnx__NodeProto>? {
        var proto = Onnx__NodeProto()
        if let source {
            proto = source.pointee
        } else {
            onnx__node_proto__init(&proto)
            proto.op_type = arena.string(node.operatorType)
        }
        for (key, value) in node.metadata.sorted(by: { $0.key < $1.key }) {
            set(key, to: value, in: &proto.metadata_props, &proto.n_metadata_props)
        }
        proto.name = arena.string(node.name)
        proto.input = arena.array(of: node.inputs.map { arena.string($0) })
        proto.n_input = node.inputs.count
        proto.output = arena.array(of: node.outputs.map { arena.string($0) })
        proto.n_output = node.outputs.count
        return arena.copy(proto)
    }

    private func make(_ tensor: ONNXEdits.Insertions.Tensor) -> UnsafeMutablePointer<Onnx__TensorProto>? {
        var proto = Onnx__TensorProto()
        onnx__tensor_proto__init(&proto)
        proto.name = arena.string(tensor.name)
        proto.has_data_type = 1
        proto.data_type = tensor.type.rawValue
        proto.dims = arena.array(of: tensor.shape.map(Int64.init))
        proto.n_dims = tensor.shape.count
        proto.has_raw_data = 1
        proto.raw_data = arena.bytes(TensorEncoding(values: TensorValues(tensor.values), type: tensor.type))
        return arena.copy(proto)
    }
}
