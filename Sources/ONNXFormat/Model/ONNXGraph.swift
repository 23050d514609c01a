import COnnxProto

/// A `GraphProto`: the main graph, or one that a node holds as an attribute.
///
/// The arrays are made anew on each access, in time linear in their length; keep them in a constant inside loops.
public struct ONNXGraph: Sendable {
    let proto: ProtoView<Onnx__GraphProto>

    public var name: String { text(proto.message.name) }
    public var documentation: String { text(proto.message.doc_string) }

    /// In topological order.
    public var nodes: [ONNXNode] { proto.views(proto.message.node, proto.message.n_node).map { ONNXNode(proto: $0) } }

    /// An input that shares its name with an initializer has that initializer as its default value.
    public var inputs: [ONNXValueInfo] {
        proto.views(proto.message.input, proto.message.n_input).map { ONNXValueInfo(proto: $0) }
    }

    public var outputs: [ONNXValueInfo] {
        proto.views(proto.message.output, proto.message.n_output).map { ONNXValueInfo(proto: $0) }
    }

    /// Types of inner values, as far as the exporter wrote them down.
    public var valueInfo: [ONNXValueInfo] {
        proto.views(proto.message.value_info, proto.message.n_value_info).map { ONNXValueInfo(proto: $0) }
    }

    public var initializers: [ONNXTensor] {
        proto.views(proto.message.initializer, proto.message.n_initializer).map { ONNXTensor(proto: $0) }
    }

    public var sparseInitializers: [ONNXSparseTensor] {
        proto.views(proto.message.sparse_initializer, proto.message.n_sparse_initializer)
            .map { ONNXSparseTensor(proto: $0) }
    }

    public var metadata: [ONNXMetadataEntry] {
        ONNXMetadataEntry.entries(proto.message.metadata_props, proto.message.n_metadata_props)
    }
}
