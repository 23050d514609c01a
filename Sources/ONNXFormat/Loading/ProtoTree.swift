import COnnxProto
import CProtobufC
import Glibc

/// The one owner of an unpacked `ModelProto`; everything else borrows from it.
///
/// `@unchecked Sendable`: the tree is never changed between `init` and `deinit` (saving edits shallow copies), so it may
/// be read from any thread.
final class ProtoTree: @unchecked Sendable {
    let root: UnsafePointer<Onnx__ModelProto>
    /// The file whose bytes stand in for some `raw_data`; nil if everything was copied.
    let mapping: FileMapping?
    private let borrowed: BorrowedData

    /// Unpacks `bytes` after checking them. Nothing of `bytes` is referred to afterwards.
    convenience init(_ bytes: UnsafeRawBufferPointer, file: String) throws(ONNXFormatError) {
        _ = try WireScan.check(bytes, as: modelDescriptor, file: file)
        try self.init(unpacking: bytes, file: file)
    }

    /// Unpacks a mapped file after checking it. Of a file of more than `borrowLimit` bytes the large tensors stay where
    /// they are mapped instead of taking memory a second time.
    convenience init(
        _ mapping: FileMapping, file: String, borrowLimit: Int = 256 << 20
    ) throws(ONNXFormatError) {
        let spans = try WireScan.check(mapping.bytes, as: modelDescriptor, file: file)
        // The file and its copy are never resident together.
        try self.init(
            unpacking: mapping.bytes, file: file, releasePages: { mapping.releasePages() },
            borrowing: mapping.bytes.count > borrowLimit ? (mapping, spans) : nil)
    }

    private init(
        unpacking bytes: UnsafeRawBufferPointer, file: String, releasePages: @escaping () -> Void = {},
        borrowing: (mapping: FileMapping, spans: [Range<Int>])? = nil
    ) throws(ONNXFormatError) {
        let meter = AllocationMeter(notify: releasePages)
        // A null pointer would be read as "no data"; an empty model still needs an address.
        let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let root = withExtendedLifetime(meter) {
            var allocator = meter.allocator
            return withUnsafeMutablePointer(to: &allocator) { allocator in
                withUnsafePointer(to: 0 as UInt8) { empty in
                    onnx__model_proto__unpack(allocator, bytes.count, start ?? empty)
                }
            }
        }
        guard let root else {
            throw ONNXFormatError(.malformed, "not a valid ONNX file: it could not be unpacked", at: file)
        }
        self.root = UnsafePointer(root)
        mapping = borrowing?.mapping
        borrowed = BorrowedData()
        if let (mapping, spans) = borrowing { borrowed.borrow(spans, of: mapping, in: self, file: file) }
    }

    deinit {
        borrowed.detach()
        onnx__model_proto__free_unpacked(UnsafeMutablePointer(mutating: root), nil)
    }
}

private var modelDescriptor: UnsafePointer<ProtobufCMessageDescriptor> {
    var message = Onnx__ModelProto()
    onnx__model_proto__init(&message)
    return message.base.descriptor
}

/// Counts what unpacking allocates. Memory comes from malloc, so libprotobuf-c's default allocator can free it.
private final class AllocationMeter {
    private let notify: () -> Void
    private var sinceNotice = 0

    init(notify: @escaping () -> Void) {
        self.notify = notify
    }

    /// Valid while this object lives.
    var allocator: ProtobufCAllocator {
        ProtobufCAllocator(
            alloc: { meter, size in
                Unmanaged<AllocationMeter>.fromOpaque(meter!).takeUnretainedValue().count(size)
                return malloc(size)
            },
            free: { _, pointer in Glibc.free(pointer) },
            allocator_data: Unmanaged.passUnretained(self).toOpaque())
    }

    private func count(_ size: Int) {
        sinceNotice += size
        if sinceNotice >= 128 << 20 {
            sinceNotice = 0
            notify()
        }
    }
}
