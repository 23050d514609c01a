import COnnxProto
import Glibc

/// Tensors whose `raw_data` point into the mapped file instead of holding a copy.
final class BorrowedData {
    private var tensors: [UnsafeMutablePointer<Onnx__TensorProto>] = []

    /// Replaces copies that unpacking made by the bytes in the file that they were made from.
    /// - Parameter spans: where the file holds large `raw_data`, in file order.
    func borrow(_ spans: [Range<Int>], of mapping: FileMapping, in tree: ProtoTree, file: String) {
        var free = Dictionary(grouping: spans, by: \.count).mapValues { ArraySlice($0) }
        for tensor in TensorOccurrence.all(in: tree, file: file) {
            let pointer = UnsafeMutablePointer(mutating: tensor.pointer)
            let data = pointer.pointee.raw_data
            guard data.len > 0, let candidates = free[data.len], !candidates.isEmpty else { continue }
            // Any equal bytes will do; those of this tensor come first where a file keeps to the usual order.
            guard let place = candidates.firstIndex(where: { equal(data.data, mapping.bytes, $0) }) else { continue }
            let span = candidates[place]
            free[data.len]!.remove(at: place)
            Glibc.free(data.data)
            pointer.pointee.raw_data.data = UnsafeMutablePointer(
                mutating: mapping.bytes.baseAddress!.assumingMemoryBound(to: UInt8.self) + span.lowerBound)
            mapping.releasePages(of: UnsafeRawBufferPointer(rebasing: mapping.bytes[span]))
            tensors.append(pointer)
        }
    }

    /// Leaves nothing in the tree that `free` must not be called for.
    func detach() {
        for tensor in tensors {
            tensor.pointee.raw_data.data = nil
            tensor.pointee.raw_data.len = 0
        }
    }

    private func equal(_ data: UnsafeMutablePointer<UInt8>, _ bytes: UnsafeRawBufferPointer, _ span: Range<Int>) -> Bool
    {
        memcmp(data, bytes.baseAddress! + span.lowerBound, span.count) == 0
    }
}
