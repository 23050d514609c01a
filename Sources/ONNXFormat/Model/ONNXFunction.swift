import COnnxProto

/// A `FunctionProto`: an operator that the model itself defines by a graph of others.
public struct ONNXFunction: Sendable {
    let proto: ProtoView<Onnx__FunctionProto>

    public var name: String { text(proto.message.name) }
    /// "" for the standard domain, also where the file says "ai.onnx".
    public var domain: String { standardised(text(proto.message.domain)) }
    public var overload: String { text(proto.message.overload) }
    public var documentation: String { text(proto.message.doc_string) }
    public var inputs: [String] { texts(proto.message.input, proto.message.n_input) }
    public var outputs: [String] { texts(proto.message.output, proto.message.n_output) }

    /// Attributes without a default value.
    public var attributeNames: [String] { texts(proto.message.attribute, proto.message.n_attribute) }

    /// Attributes with their default values.
    public var attributeDefaults: [ONNXAttribute] {
        proto.views(proto.message.attribute_proto, proto.message.n_attribute_proto).map { ONNXAttribute(proto: $0) }
    }

    /// In topological order.
    public var nodes: [ONNXNode] { proto.views(proto.message.node, proto.message.n_node).map { ONNXNode(proto: $0) } }

    public var valueInfo: [ONNXValueInfo] {
        proto.views(proto.message.value_info, proto.message.n_value_info).map { ONNXValueInfo(proto: $0) }
    }

    public var opsetImports: [ONNXOpsetImport] {
        ONNXOpsetImport.imports(proto.message.opset_import, proto.message.n_opset_import)
    }

    public var metadata: [ONNXMetadataEntry] {
        ONNXMetadataEntry.entries(proto.message.metadata_props, proto.message.n_metadata_props)
    }
}
