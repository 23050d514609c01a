import COnnxProto

/// Puts replacement tensors and nodes into a tree by copying only the messages on the way to them.
struct TreeRewrite {
    let arena: MessageArena
    var tensors: [UnsafePointer<Onnx__TensorProto>: UnsafeMutablePointer<Onnx__TensorProto>] = [:]
    var nodes: [UnsafePointer<Onnx__NodeProto>: UnsafeMutablePointer<Onnx__NodeProto>] = [:]

    typealias MessageArray<Message> = UnsafeMutablePointer<UnsafeMutablePointer<Message>?>?

    func model(_ root: UnsafePointer<Onnx__ModelProto>) -> UnsafeMutablePointer<Onnx__ModelProto> {
        let copy = arena.copy(root.pointee)
        copy.pointee.graph = graph(root.pointee.graph)
        copy.pointee.functions = rewrite(root.pointee.functions, root.pointee.n_functions, function)
        copy.pointee.training_info = rewrite(root.pointee.training_info, root.pointee.n_training_info, training)
        return copy
    }

    private func graph(_ pointer: UnsafeMutablePointer<Onnx__GraphProto>) -> UnsafeMutablePointer<Onnx__GraphProto> {
        var graph = pointer.pointee
        graph.initializer = rewrite(graph.initializer, graph.n_initializer, tensor)
        graph.sparse_initializer = rewrite(graph.sparse_initializer, graph.n_sparse_initializer, sparse)
        graph.node = rewrite(graph.node, graph.n_node, node)
        let isSame =
            graph.initializer == pointer.pointee.initializer && graph.node == pointer.pointee.node
            && graph.sparse_initializer == pointer.pointee.sparse_initializer
        return isSame ? pointer : arena.copy(graph)
    }

    private func node(_ pointer: UnsafeMutablePointer<Onnx__NodeProto>) -> UnsafeMutablePointer<Onnx__NodeProto> {
        let source = nodes[UnsafePointer(pointer)] ?? pointer
        let attributes = rewrite(source.pointee.attribute, source.pointee.n_attribute, attribute)
        guard attributes != source.pointee.attribute else { return source }
        let copy = arena.copy(source.pointee)
        copy.pointee.attribute = attributes
        return copy
    }

    private func attribute(
        _ pointer: UnsafeMutablePointer<Onnx__AttributeProto>
    ) -> UnsafeMutablePointer<Onnx__AttributeProto> {
        let old = pointer.pointee
        var new = old
        new.t = old.t.map(tensor)
        new.g = old.g.map(graph)
        new.sparse_tensor = old.sparse_tensor.map(sparse)
        new.tensors = rewrite(old.tensors, old.n_tensors, tensor)
        new.graphs = rewrite(old.graphs, old.n_graphs, graph)
        new.sparse_tensors = rewrite(old.sparse_tensors, old.n_sparse_tensors, sparse)
        let isSame =
            new.t == old.t && new.g == old.g && new.sparse_tensor == old.sparse_tensor && new.tensors == old.tensors
            && new.graphs == old.graphs && new.sparse_tensors == old.sparse_tensors
        return isSame ? pointer : arena.copy(new)
    }

    private func sparse(
        _ pointer: UnsafeMutablePointer<Onnx__SparseTensorProto>
    ) -> UnsafeMutablePointer<Onnx__SparseTensorProto> {
        let old = pointer.pointee
        var new = old
        new.values = old.values.map(tensor)
        new.indices = old.indices.map(tensor)
        return new.values == old.values && new.indices == old.indices ? pointer : arena.copy(new)
    }

    private func function(
        _ pointer: UnsafeMutablePointer<Onnx__FunctionProto>
    ) -> UnsafeMutablePointer<Onnx__FunctionProto> {
        let old = pointer.pointee
        var new = old
        new.node = rewrite(old.node, old.n_node, node)
        new.attribute_proto = rewrite(old.attribute_proto, old.n_attribute_proto, attribute)
        return new.node == old.node && new.attribute_proto == old.attribute_proto ? pointer : arena.copy(new)
    }

    private func training(
        _ pointer: UnsafeMutablePointer<Onnx__TrainingInfoProto>
    ) -> UnsafeMutablePointer<Onnx__TrainingInfoProto> {
        let old = pointer.pointee
        var new = old
        new.initialization = old.initialization.map(graph)
        new.algorithm = old.algorithm.map(graph)
        return new.initialization == old.initialization && new.algorithm == old.algorithm ? pointer : arena.copy(new)
    }

    private func tensor(_ pointer: UnsafeMutablePointer<Onnx__TensorProto>) -> UnsafeMutablePointer<Onnx__TensorProto> {
        tensors[UnsafePointer(pointer)] ?? pointer
    }

    /// The same array when no element changes, else a changed copy.
    private func rewrite<Message>(
        _ array: MessageArray<Message>, _ count: Int,
        _ change: (UnsafeMutablePointer<Message>) -> UnsafeMutablePointer<Message>
    ) -> MessageArray<Message> {
        guard let array else { return nil }
        var copy: MessageArray<Message> = nil
        for index in 0..<count {
            let new = change(array[index]!)
            guard new != array[index]! else { continue }
            if copy == nil { copy = arena.array(array, count) }
            copy![index] = new
        }
        return copy ?? array
    }
}
