/// Writes arrays as .safetensors. Wider element types come first in the file, so that every tensor is aligned; the
/// header is padded with spaces to a multiple of eight bytes for the same reason.
struct SafetensorsEncoder: ArrayEncoder {
    private let file: AtomicFile
    private var offsets: [String: Int] = [:]
    private var position = 0

    init(file: AtomicFile, arrays: [ArrayFileWriter.Declaration]) throws(DataError) {
        self.file = file
        let widest = [8, 4, 2, 1]
        let ordered = widest.flatMap { width in arrays.filter { $0.type.byteCount == width } }
        var members: [String] = []
        var reached = 0
        for array in ordered {
            let (end, overflow) = reached.addingReportingOverflow(array.byteCount)
            precondition(!overflow, "sizes overflow")
            let shape = array.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(jsonString(array.name)):{\"dtype\":\"\(Self.typeName(array.type))\",\"shape\":[\(shape)],"
                    + "\"data_offsets\":[\(reached),\(end)]}")
            offsets[array.name] = reached
            reached = end
        }
        var header = "{\(members.joined(separator: ","))}"
        header += String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
        guard header.utf8.count <= SafetensorsFile.longestHeader else {
            throw DataError(.cannotCreate, "has too many arrays for a safetensors header", at: .init(file: file.path))
        }
        var builder = ByteBuilder()
        builder.append(UInt64(header.utf8.count))
        builder.append(header)
        try file.write(builder.bytes, at: 0)
        offsets = offsets.mapValues { $0 + builder.bytes.count }
    }

    mutating func begin(_ array: ArrayFileWriter.Declaration) { position = offsets[array.name]! }

    mutating func append(_ bytes: UnsafeRawBufferPointer) throws(DataError) {
        try file.write(bytes, at: position)
        position += bytes.count
    }

    mutating func end() {}
    mutating func finish() {}

    private static func typeName(_ type: StoredType) -> String {
        guard let entry = SafetensorsFile.storedTypes.first(where: { $0.value == type }) else {
            preconditionFailure("safetensors has no \(type.rawValue)")
        }
        return entry.key
    }

    private func jsonString(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
