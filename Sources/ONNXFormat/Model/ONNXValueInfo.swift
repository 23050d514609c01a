import COnnxProto

/// A `ValueInfoProto`: the name of a value and what the file says of its type.
public struct ONNXValueInfo: Sendable {
    let proto: ProtoView<Onnx__ValueInfoProto>

    public var name: String { text(proto.message.name) }
    public var documentation: String { text(proto.message.doc_string) }
    public var type: ONNXType { ONNXType(proto.message.type) }

    /// The tensor's element type; nil if the value is no tensor or the file leaves the type open.
    public var elementType: ONNXElementType? {
        if case .tensor(let type, _) = type { type } else { nil }
    }

    /// The tensor's dimensions; nil if the value is no tensor or not even its rank is given.
    public var dimensions: [ONNXDimension]? {
        if case .tensor(_, let dimensions) = type { dimensions } else { nil }
    }

    public var metadata: [ONNXMetadataEntry] {
        ONNXMetadataEntry.entries(proto.message.metadata_props, proto.message.n_metadata_props)
    }
}

/// One dimension of a declared shape.
public enum ONNXDimension: Sendable, Hashable {
    case fixed(Int)
    /// Equal names mean equal sizes throughout the graph.
    case symbol(String)
    case unknown
}

/// A `TypeProto`.
public indirect enum ONNXType: Sendable, Hashable {
    case tensor(ONNXElementType?, [ONNXDimension]?)
    case sparseTensor(ONNXElementType?, [ONNXDimension]?)
    case sequence(ONNXType)
    case map(key: ONNXElementType?, value: ONNXType)
    case optional(ONNXType)
    case opaque(domain: String, name: String)
    /// The file says nothing.
    case unspecified

    init(_ pointer: UnsafePointer<Onnx__TypeProto>?) {
        guard let message = pointer?.pointee else {
            self = .unspecified
            return
        }
        switch message.value_case {
        case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
            let tensor = message.tensor_type.pointee
            self = .tensor(ONNXElementType(rawValue: tensor.elem_type), ONNXDimension.shape(tensor.shape))
        case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
            let tensor = message.sparse_tensor_type.pointee
            self = .sparseTensor(ONNXElementType(rawValue: tensor.elem_type), ONNXDimension.shape(tensor.shape))
        case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
            self = .sequence(ONNXType(message.sequence_type.pointee.elem_type))
        case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
            let map = message.map_type.pointee
            self = .map(key: ONNXElementType(rawValue: map.key_type), value: ONNXType(map.value_type))
        case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
            self = .optional(ONNXType(message.optional_type.pointee.elem_type))
        case ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE:
            let opaque = message.opaque_type.pointee
            self = .opaque(domain: text(opaque.domain), name: text(opaque.name))
        default: self = .unspecified
        }
    }
}

extension ONNXDimension {
    /// nil when there is no shape, which leaves the rank open; an empty shape is a scalar's.
    static func shape(_ pointer: UnsafePointer<Onnx__TensorShapeProto>?) -> [ONNXDimension]? {
        guard let shape = pointer?.pointee else { return nil }
        return messages(shape.dim, shape.n_dim).map { dimension in
            switch dimension.pointee.value_case {
            case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE: .fixed(Int(dimension.pointee.dim_value))
            case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM where dimension.pointee.dim_param.pointee != 0:
                .symbol(text(dimension.pointee.dim_param))
            default: .unknown
            }
        }
    }
}
