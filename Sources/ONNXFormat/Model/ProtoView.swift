import COnnxProto
import CProtobufC

/// A message of a model's tree together with the model that keeps it alive.
///
/// `@unchecked Sendable`: the pointer leads into a tree that is never changed after loading and lives as long as `model`.
struct ProtoView<Message>: @unchecked Sendable {
    let model: ONNXModel
    let pointer: UnsafePointer<Message>

    init(_ pointer: UnsafePointer<Message>, of model: ONNXModel) {
        self.pointer = pointer
        self.model = model
    }

    var message: Message { pointer.pointee }

    /// Views of a repeated message field.
    func views<Child>(
        _ array: UnsafeMutablePointer<UnsafeMutablePointer<Child>?>?, _ count: Int
    ) -> [ProtoView<Child>] {
        messages(array, count).map { ProtoView<Child>($0, of: model) }
    }

    /// A view of an optional message field.
    func view<Child>(_ child: UnsafeMutablePointer<Child>?) -> ProtoView<Child>? {
        child.map { ProtoView<Child>(UnsafePointer($0), of: model) }
    }
}

/// The elements of a repeated message field; libprotobuf-c leaves no null among them.
func messages<Child>(
    _ array: UnsafeMutablePointer<UnsafeMutablePointer<Child>?>?, _ count: Int
) -> [UnsafePointer<Child>] {
    guard let array else { return [] }
    return (0..<count).map { UnsafePointer(array[$0]!) }
}

/// The text of a string field, empty if absent. Bytes that are not UTF-8 are shown as U+FFFD.
func text(_ pointer: UnsafeMutablePointer<CChar>?) -> String {
    pointer.map { String(cString: $0) } ?? ""
}

/// The texts of a repeated string field.
func texts(_ array: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ count: Int) -> [String] {
    guard let array else { return [] }
    return (0..<count).map { text(array[$0]) }
}

/// The text of a bytes field.
func text(_ data: ProtobufCBinaryData) -> String {
    String(decoding: UnsafeBufferPointer(start: data.data, count: data.len), as: UTF8.self)
}
