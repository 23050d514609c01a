import COnnxProto

/// A `NodeProto`: one call of an operator or local function.
public struct ONNXNode: Sendable {
    let proto: ProtoView<Onnx__NodeProto>

    /// May be empty; ONNX does not ask for unique node names.
    public var name: String { text(proto.message.name) }
    public var opType: String { text(proto.message.op_type) }
    /// "" for the standard operators, also where the file says "ai.onnx".
    public var domain: String { standardised(text(proto.message.domain)) }
    public var overload: String { text(proto.message.overload) }
    public var documentation: String { text(proto.message.doc_string) }

    /// "" stands for an optional input that is left out.
    public var inputs: [String] { texts(proto.message.input, proto.message.n_input) }
    /// "" stands for an optional output that is left out.
    public var outputs: [String] { texts(proto.message.output, proto.message.n_output) }

    public var attributes: [ONNXAttribute] {
        proto.views(proto.message.attribute, proto.message.n_attribute).map { ONNXAttribute(proto: $0) }
    }

    public func attribute(named name: String) -> ONNXAttribute? { attributes.first { $0.name == name } }

    public var metadata: [ONNXMetadataEntry] {
        ONNXMetadataEntry.entries(proto.message.metadata_props, proto.message.n_metadata_props)
    }
}
