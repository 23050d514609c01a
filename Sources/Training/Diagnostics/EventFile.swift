import Glibc

/// A file of scalars over steps that TensorBoard reads: records of TFRecord's framing (length, masked checksum, bytes,
/// masked checksum), each an `Event` in protocol-buffer encoding.
final class EventFile {
    private let file: AppendedFile
    private var described: Set<String> = []

    /// Begins a new file in a folder, named after the time.
    init(folder: String) throws(DataError) {
        var seconds = Int(Self.now())
        // Two runs may begin in one second.
        while fileKind(Self.path(folder, seconds)) != .absent { seconds += 1 }
        file = try AppendedFile(path: Self.path(folder, seconds))
        var event = MessageBytes()
        event.append(1, Self.now())
        event.append(3, "brain.Event:2")
        try append(event)
    }

    func append(_ figures: [RunLog.Figure], step: Int) throws(DataError) {
        var summary = MessageBytes()
        for figure in figures {
            guard let number = figure.value else { continue }
            var value = MessageBytes()
            value.append(1, figure.tag)
            value.append(2, Float(number))
            if described.insert(figure.tag).inserted {
                value.append(9, Self.metadata(figure.isDiagnostic ? RunLog.stamp : nil))
            }
            summary.append(1, value)
        }
        var event = MessageBytes()
        event.append(1, Self.now())
        event.append(2, step)
        event.append(5, summary)
        try append(event)
    }

    /// - Parameter stamp: what TensorBoard shows as the scalar's description.
    private static func metadata(_ stamp: String?) -> MessageBytes {
        var plugin = MessageBytes()
        plugin.append(1, "scalars")
        var metadata = MessageBytes()
        metadata.append(1, plugin)
        if let stamp { metadata.append(3, stamp) }
        return metadata
    }

    private func append(_ event: MessageBytes) throws(DataError) {
        var record: [UInt8] = []
        record.append(littleEndian: UInt64(event.bytes.count))
        record.append(littleEndian: Checksum32C.masked(record))
        record += event.bytes
        record.append(littleEndian: Checksum32C.masked(event.bytes))
        try file.append(record)
    }

    private static func path(_ folder: String, _ seconds: Int) -> String {
        "\(folder)/events.out.tfevents.\(seconds).dponnx"
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}

/// Fields of a protocol-buffer message in wire format.
private struct MessageBytes {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ field: Int, _ value: Double) {
        append(key: field, wireType: 1)
        bytes.append(littleEndian: value.bitPattern)
    }

    mutating func append(_ field: Int, _ value: Float) {
        append(key: field, wireType: 5)
        bytes.append(littleEndian: value.bitPattern)
    }

    mutating func append(_ field: Int, _ value: Int) {
        append(key: field, wireType: 0)
        append(variable: UInt64(bitPattern: Int64(value)))
    }

    mutating func append(_ field: Int, _ value: String) { append(field, Array(value.utf8)) }

    mutating func append(_ field: Int, _ value: MessageBytes) { append(field, value.bytes) }

    private mutating func append(_ field: Int, _ value: [UInt8]) {
        append(key: field, wireType: 2)
        append(variable: UInt64(value.count))
        bytes += value
    }

    private mutating func append(key field: Int, wireType: UInt64) {
        append(variable: UInt64(field) << 3 | wireType)
    }

    private mutating func append(variable value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

extension [UInt8] {
    fileprivate mutating func append(littleEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
