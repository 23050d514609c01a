import COnnxProto
import CProtobufC
import Glibc

/// Memory for shallow copies of messages that differ from a model's tree. Everything is freed at once; what the copies
/// share with the tree is not theirs.
final class MessageArena {
    private var allocations: [UnsafeMutableRawPointer] = []
    /// Data that are not in memory in their final form: the address that stands for them, and how to make them.
    private(set) var encodings: [UnsafeRawPointer: TensorEncoding] = [:]

    deinit {
        for allocation in allocations { free(allocation) }
    }

    func copy<Message>(_ message: Message) -> UnsafeMutablePointer<Message> {
        let pointer = buffer(of: Message.self, count: 1).baseAddress!
        pointer.initialize(to: message)
        return pointer
    }

    /// A copy of a C array, with `extra` elements more behind it.
    func array<Element>(
        _ start: UnsafeMutablePointer<Element>?, _ count: Int, adding extra: [Element] = []
    ) -> UnsafeMutablePointer<Element> {
        let copy = buffer(of: Element.self, count: max(count + extra.count, 1))
        for index in 0..<count { copy.initializeElement(at: index, to: start![index]) }
        for (index, element) in extra.enumerated() { copy.initializeElement(at: count + index, to: element) }
        return copy.baseAddress!
    }

    func array<Element>(of elements: [Element]) -> UnsafeMutablePointer<Element> {
        array(nil, 0, adding: elements)
    }

    func string(_ text: String) -> UnsafeMutablePointer<CChar> {
        array(of: Array(text.utf8CString))
    }

    /// Bytes whose length is known and whose contents are made when they are written.
    func bytes(_ encoding: TensorEncoding) -> ProtobufCBinaryData {
        let marker = buffer(of: UInt8.self, count: 1).baseAddress!
        encodings[UnsafeRawPointer(marker)] = encoding
        return ProtobufCBinaryData(len: encoding.byteCount, data: marker)
    }

    private func buffer<Element>(of type: Element.Type, count: Int) -> UnsafeMutableBufferPointer<Element> {
        guard let raw = calloc(count, MemoryLayout<Element>.stride) else {
            fatalError("out of memory for \(count) elements of \(type)")
        }
        allocations.append(raw)
        return UnsafeMutableBufferPointer(start: raw.bindMemory(to: type, capacity: count), count: count)
    }
}
