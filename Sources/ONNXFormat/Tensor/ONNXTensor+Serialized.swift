import COnnxProto
import CProtobufC

extension ONNXTensor {
    /// Reads and checks one serialized `TensorProto` outside of any model, as the `.pb` files of ONNX's tests hold it.
    ///
    /// - Parameter name: the tensor's name in messages, e.g. its file; a name in the bytes themselves is replaced.
    /// - Throws: `malformed` where a model with that tensor would be refused, `externalData` if the data are in another
    ///   file: there is no folder to look for it in.
    public init(serialized: [UInt8], named name: String) throws(ONNXFormatError) {
        let scan = serialized.withUnsafeBytes { bytes in
            Result { () throws(ONNXFormatError) in try WireScan.check(bytes, as: tensorDescriptor, file: name) }
        }
        _ = try scan.get()
        // The only initializer of a model: its bytes, then its name once more, of which protobuf takes the last.
        var tensor = serialized
        Self.append(field: 8, Array(name.utf8), to: &tensor)
        var graph: [UInt8] = []
        Self.append(field: 5, tensor, to: &graph)
        var bytes: [UInt8] = []
        Self.append(field: 7, graph, to: &bytes)
        let model: ONNXModel
        do {
            model = try ONNXModel(serialized: bytes)
        } catch {
            throw ONNXFormatError(error.kind, error.message, at: name)
        }
        self = model.graph.initializers[0]
    }

    /// A field of bytes, text or a message as protobuf writes it: key, length, contents.
    private static func append(field number: UInt64, _ contents: [UInt8], to bytes: inout [UInt8]) {
        for var value in [number << 3 | 2, UInt64(contents.count)] {
            while value > 0x7F {
                bytes.append(UInt8(value & 0x7F | 0x80))
                value >>= 7
            }
            bytes.append(UInt8(value))
        }
        bytes += contents
    }
}

private var tensorDescriptor: UnsafePointer<ProtobufCMessageDescriptor> {
    var message = Onnx__TensorProto()
    onnx__tensor_proto__init(&message)
    return message.base.descriptor
}
