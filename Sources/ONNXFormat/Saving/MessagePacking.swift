import COnnxProto
import CProtobufC
import Glibc

/// Receives a packed model piece by piece.
///
/// libprotobuf-c hands out each piece through a C callback that cannot fail, so the first error is kept for afterwards.
final class MessagePacking {
    private let encodings: [UnsafeRawPointer: TensorEncoding]
    private let write: (UnsafeRawBufferPointer) throws(ONNXFormatError) -> Void
    private var failure: ONNXFormatError?

    private init(
        _ encodings: [UnsafeRawPointer: TensorEncoding],
        _ write: @escaping (UnsafeRawBufferPointer) throws(ONNXFormatError) -> Void
    ) {
        self.encodings = encodings
        self.write = write
    }

    /// Packs `root`; `place` names the output in errors.
    static func pack(
        _ root: UnsafePointer<Onnx__ModelProto>, _ arena: MessageArena, at place: String,
        write: @escaping (UnsafeRawBufferPointer) throws(ONNXFormatError) -> Void
    ) throws(ONNXFormatError) {
        let size = onnx__model_proto__get_packed_size(root)
        guard size < Int(Int32.max) else {
            throw ONNXFormatError(
                .writeFailed,
                "the model would take \(size) bytes, over protobuf's 2 GiB; store its weights as external data first",
                at: place)
        }
        let packing = MessagePacking(arena.encodings, write)
        // The callback gets only the buffer's address; behind the C struct stands the object it belongs to.
        let stride = MemoryLayout<ProtobufCBuffer>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: stride + 8, alignment: 8)
        defer { memory.deallocate() }
        let buffer = memory.initializeMemory(
            as: ProtobufCBuffer.self,
            to: ProtobufCBuffer { buffer, count, data in
                let address = UnsafeRawPointer(buffer!) + MemoryLayout<ProtobufCBuffer>.stride
                let packing = address.load(as: Unmanaged<MessagePacking>.self).takeUnretainedValue()
                packing.append(data, count)
            })
        (memory + stride).storeBytes(of: Unmanaged.passUnretained(packing), as: Unmanaged<MessagePacking>.self)
        withExtendedLifetime((packing, arena)) { _ = onnx__model_proto__pack_to_buffer(root, buffer) }
        if let failure = packing.failure { throw failure }
    }

    private func append(_ data: UnsafePointer<UInt8>?, _ count: Int) {
        guard failure == nil, let data, count > 0 else { return }
        do {
            guard let encoding = encodings[UnsafeRawPointer(data)] else {
                try write(UnsafeRawBufferPointer(start: data, count: count))
                return
            }
            try encoding.forEachChunk { (chunk) throws(ONNXFormatError) in
                try chunk.withUnsafeBytes { chunk in
                    Result { () throws(ONNXFormatError) in try write(chunk) }
                }.get()
            }
        } catch {
            failure = error
        }
    }
}
