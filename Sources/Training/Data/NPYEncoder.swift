/// Writes one array as .npy, version 1.0.
struct NPYEncoder: ArrayEncoder {
    private let file: AtomicFile
    private var position = 0

    init(file: AtomicFile) { self.file = file }

    mutating func begin(_ array: ArrayFileWriter.Declaration) throws(DataError) {
        let header = Self.header(array)
        try file.write(header, at: 0)
        position = header.count
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) throws(DataError) {
        try file.write(bytes, at: position)
        position += bytes.count
    }

    mutating func end() {}
    mutating func finish() {}

    /// Magic, version, and the dictionary padded with spaces so that the elements start at a multiple of 64.
    static func header(_ array: ArrayFileWriter.Declaration) -> [UInt8] {
        precondition(array.shape.count <= NPYHeader.highestRank)
        var extents = array.shape.map(String.init).joined(separator: ", ")
        if array.shape.count == 1 { extents += "," }
        let dictionary = "{'descr': '\(descr(array.type))', 'fortran_order': False, 'shape': (\(extents)), }"
        let prefix = NPYHeader.magic.count + 4
        let total = (prefix + dictionary.utf8.count + 1 + 63) / 64 * 64
        var builder = ByteBuilder()
        builder.append(NPYHeader.magic)
        builder.append([1, 0])
        builder.append(UInt16(total - prefix))
        builder.append(dictionary)
        builder.append(String(repeating: " ", count: total - prefix - dictionary.utf8.count - 1) + "\n")
        return builder.bytes
    }

    private static func descr(_ type: StoredType) -> String {
        switch type {
        case .bool: "|b1"
        case .int8: "|i1"
        case .int16: "<i2"
        case .int32: "<i4"
        case .int64: "<i8"
        case .uint8: "|u1"
        case .uint16: "<u2"
        case .uint32: "<u4"
        case .uint64: "<u8"
        case .float16: "<f2"
        case .float32: "<f4"
        case .float64: "<f8"
        case .bfloat16: preconditionFailure("NumPy has no bfloat16; write float32 or a .safetensors file")
        }
    }
}
