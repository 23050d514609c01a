import COnnxProto
import CProtobufC

/// An `AttributeProto`: a named constant of a node, or the default of a function's attribute.
public struct ONNXAttribute: Sendable {
    let proto: ProtoView<Onnx__AttributeProto>

    public enum Value: Sendable {
        case float(Float)
        case int(Int64)
        case string(String)
        case tensor(ONNXTensor)
        case graph(ONNXGraph)
        case sparseTensor(ONNXSparseTensor)
        case type(ONNXType)
        case floats([Float])
        case ints([Int64])
        case strings([String])
        case tensors([ONNXTensor])
        case graphs([ONNXGraph])
        case sparseTensors([ONNXSparseTensor])
        case types([ONNXType])
        /// The value of the calling node's attribute of that name; only inside function bodies.
        case reference(String)
    }

    public var name: String { text(proto.message.name) }
    public var documentation: String { text(proto.message.doc_string) }

    /// The attribute of the calling node that gives the value; nil unless inside a function body.
    public var referencedName: String? {
        let name = text(proto.message.ref_attr_name)
        return name.isEmpty ? nil : name
    }

    /// A number or text that the file leaves out, as proto3 writers do with zeros, reads as zero or empty.
    public var value: Value {
        if let referencedName { return .reference(referencedName) }
        let message = proto.message
        switch AttributeKind(message) {
        case .float: return .float(message.f)
        case .int: return .int(message.i)
        case .string: return .string(text(message.s))
        case .tensor: return .tensor(ONNXTensor(proto: proto.view(message.t)!))
        case .graph: return .graph(ONNXGraph(proto: proto.view(message.g)!))
        case .sparseTensor: return .sparseTensor(ONNXSparseTensor(proto: proto.view(message.sparse_tensor)!))
        case .type: return .type(ONNXType(message.tp))
        case .floats: return .floats(Array(UnsafeBufferPointer(start: message.floats, count: message.n_floats)))
        case .ints: return .ints(Array(UnsafeBufferPointer(start: message.ints, count: message.n_ints)))
        case .strings:
            return .strings(UnsafeBufferPointer(start: message.strings, count: message.n_strings).map { text($0) })
        case .tensors: return .tensors(proto.views(message.tensors, message.n_tensors).map { ONNXTensor(proto: $0) })
        case .graphs: return .graphs(proto.views(message.graphs, message.n_graphs).map { ONNXGraph(proto: $0) })
        case .sparseTensors:
            return .sparseTensors(
                proto.views(message.sparse_tensors, message.n_sparse_tensors).map { ONNXSparseTensor(proto: $0) })
        case .types: return .types(messages(message.type_protos, message.n_type_protos).map { ONNXType($0) })
        case nil: preconditionFailure("loading checks that every attribute has a value")
        }
    }
}

/// `AttributeProto.AttributeType`, with the files that have no `type` yet: there the value that is present decides.
enum AttributeKind: UInt32 {
    case float = 1
    case int = 2
    case string = 3
    case tensor = 4
    case graph = 5
    case floats = 6
    case ints = 7
    case strings = 8
    case tensors = 9
    case graphs = 10
    case sparseTensor = 11
    case sparseTensors = 12
    case type = 13
    case types = 14

    /// nil when the type is unknown, or when the message or tensor that it names is absent.
    init?(_ message: Onnx__AttributeProto) {
        let number = message.has_type != 0 ? UInt32(bitPattern: Int32(truncatingIfNeeded: message.type.rawValue)) : 0
        guard number != 0 else {
            guard let kind = Self.present(in: message) else { return nil }
            self = kind
            return
        }
        guard let kind = AttributeKind(rawValue: number) else { return nil }
        let isThere =
            switch kind {
            case .tensor: message.t != nil
            case .graph: message.g != nil
            case .sparseTensor: message.sparse_tensor != nil
            case .type: message.tp != nil
            default: true
            }
        guard isThere else { return nil }
        self = kind
    }

    private static func present(in message: Onnx__AttributeProto) -> AttributeKind? {
        let candidates: [(Bool, AttributeKind)] = [
            (message.has_f != 0, .float), (message.has_i != 0, .int), (message.has_s != 0, .string),
            (message.t != nil, .tensor), (message.g != nil, .graph), (message.sparse_tensor != nil, .sparseTensor),
            (message.tp != nil, .type), (message.n_floats > 0, .floats), (message.n_ints > 0, .ints),
            (message.n_strings > 0, .strings), (message.n_tensors > 0, .tensors), (message.n_graphs > 0, .graphs),
            (message.n_sparse_tensors > 0, .sparseTensors), (message.n_type_protos > 0, .types),
        ]
        return candidates.first { $0.0 }?.1
    }
}
