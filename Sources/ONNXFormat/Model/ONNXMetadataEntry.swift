import COnnxProto

/// One entry of a `metadata_props` list.
public struct ONNXMetadataEntry: Sendable, Hashable {
    public let key: String
    public let value: String

    public init(key: String, value: String) {
        self.key = key
        self.value = value
    }

    static func entries(
        _ array: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__StringStringEntryProto>?>?, _ count: Int
    ) -> [ONNXMetadataEntry] {
        messages(array, count).map { ONNXMetadataEntry(key: text($0.pointee.key), value: text($0.pointee.value)) }
    }
}

extension Sequence where Element == ONNXMetadataEntry {
    /// The value of the first entry with that key.
    public subscript(key: String) -> String? { first { $0.key == key }?.value }
}
