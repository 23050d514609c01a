/// Writes arrays as the .npy entries of a zip file (PKWARE APPNOTE 6.3), stored or deflated; zip64 fields appear where
/// a size or an offset does not fit into 32 bits.
struct NPZEncoder: ArrayEncoder {
    private struct Entry {
        var name: [UInt8]
        var headerOffset: Int
        var usesZip64: Bool
        var checksum: UInt32 = 0
        var size = 0
        var compressedSize = 0
    }

    private let file: AtomicFile
    private let method: UInt16
    private let zip64Threshold: Int
    private var entries: [Entry] = []
    private var deflater: Deflater?
    private var position = 0

    init(file: AtomicFile, compress: Bool, zip64Threshold: Int) {
        self.file = file
        method = compress ? 8 : 0
        self.zip64Threshold = zip64Threshold
    }

    mutating func begin(_ array: ArrayFileWriter.Declaration) throws(DataError) {
        let name = Array("\(array.name).npy".utf8)
        guard name.count <= 0xFFFF else {
            throw DataError(.cannotCreate, "has too long a name for a zip entry", at: .init(file: file.path))
        }
        let header = NPYEncoder.header(array)
        // Incompressible data grow a little when deflated, so the choice leaves room.
        let bound = header.count + array.byteCount
        let usesZip64 = bound + bound >> 10 + 1024 >= zip64Threshold
        entries.append(Entry(name: name, headerOffset: position, usesZip64: usesZip64))
        try file.write(localHeader(entries[entries.count - 1]), at: position)
        position += localHeader(entries[entries.count - 1]).count
        deflater = method == 8 ? Deflater() : nil
        let outcome = header.withUnsafeBytes { buffer in
            Result { () throws(DataError) in try append(buffer) }
        }
        try outcome.get()
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) throws(DataError) {
        let last = entries.count - 1
        entries[last].checksum = checksum(bytes, seed: entries[last].checksum)
        entries[last].size += bytes.count
        if let deflater {
            try deflater.deflate(bytes, isLast: false) { (piece) throws(DataError) in try writeData(piece) }
        } else {
            try writeData(bytes)
        }
    }

    /// Fills in the local header, whose sizes and CRC are known only now.
    mutating func end() throws(DataError) {
        if let deflater {
            let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
            try deflater.deflate(nothing, isLast: true) { (piece) throws(DataError) in try writeData(piece) }
        }
        deflater = nil
        let entry = entries[entries.count - 1]
        try file.write(localHeader(entry), at: entry.headerOffset)
    }

    mutating func finish() throws(DataError) {
        let start = position
        var builder = ByteBuilder()
        for entry in entries { appendDirectoryRecord(entry, to: &builder) }
        let size = builder.bytes.count
        let isZip64 = entries.count >= 0xFFFF || start >= zip64Threshold || size >= zip64Threshold
        if isZip64 {
            builder.append(0x0606_4B50 as UInt32)
            builder.append(44 as UInt64)
            builder.append([45, 3, 45, 0])
            builder.append(0 as UInt64)  // this disk, the directory's disk
            builder.append(UInt64(entries.count))
            builder.append(UInt64(entries.count))
            builder.append(UInt64(size))
            builder.append(UInt64(start))
            builder.append(0x0706_4B50 as UInt32)
            builder.append(0 as UInt32)
            builder.append(UInt64(start + size))
            builder.append(1 as UInt32)
        }
        builder.append(0x0605_4B50 as UInt32)
        builder.append(0 as UInt32)
        builder.append(isZip64 ? 0xFFFF : UInt16(entries.count))
        builder.append(isZip64 ? 0xFFFF : UInt16(entries.count))
        builder.append(isZip64 ? 0xFFFF_FFFF : UInt32(size))
        builder.append(isZip64 ? 0xFFFF_FFFF : UInt32(start))
        builder.append(0 as UInt16)
        try file.write(builder.bytes, at: position)
    }

    private mutating func writeData(_ bytes: UnsafeRawBufferPointer) throws(DataError) {
        try file.write(bytes, at: position)
        position += bytes.count
        entries[entries.count - 1].compressedSize += bytes.count
    }

    /// The fields that the local and the central record share: version, flags, method, time, date, CRC.
    private func appendCommonFields(_ entry: Entry, usesZip64: Bool, to builder: inout ByteBuilder) {
        builder.append((usesZip64 ? 45 : 20) as UInt16)
        builder.append(0x0800 as UInt16)  // the name is UTF-8
        builder.append(method)
        builder.append(0 as UInt16)
        builder.append(0x0021 as UInt16)  // 1980-01-01: the same arrays give the same file
        builder.append(entry.checksum)
    }

    private func localHeader(_ entry: Entry) -> [UInt8] {
        var builder = ByteBuilder()
        builder.append(0x0403_4B50 as UInt32)
        appendCommonFields(entry, usesZip64: entry.usesZip64, to: &builder)
        builder.append(entry.usesZip64 ? 0xFFFF_FFFF : UInt32(entry.compressedSize))
        builder.append(entry.usesZip64 ? 0xFFFF_FFFF : UInt32(entry.size))
        builder.append(UInt16(entry.name.count))
        builder.append((entry.usesZip64 ? 20 : 0) as UInt16)
        builder.append(entry.name)
        if entry.usesZip64 {
            builder.append(1 as UInt16)
            builder.append(16 as UInt16)
            builder.append(UInt64(entry.size))
            builder.append(UInt64(entry.compressedSize))
        }
        return builder.bytes
    }

    private func appendDirectoryRecord(_ entry: Entry, to builder: inout ByteBuilder) {
        var zip64 = ByteBuilder()
        if entry.usesZip64 {
            zip64.append(UInt64(entry.size))
            zip64.append(UInt64(entry.compressedSize))
        }
        let isFar = entry.headerOffset >= zip64Threshold
        if isFar { zip64.append(UInt64(entry.headerOffset)) }
        let hasExtra = !zip64.bytes.isEmpty
        builder.append(0x0201_4B50 as UInt32)
        builder.append([45, 3])  // made by APPNOTE 4.5 on Unix
        appendCommonFields(entry, usesZip64: hasExtra, to: &builder)
        builder.append(entry.usesZip64 ? 0xFFFF_FFFF : UInt32(entry.compressedSize))
        builder.append(entry.usesZip64 ? 0xFFFF_FFFF : UInt32(entry.size))
        builder.append(UInt16(entry.name.count))
        builder.append(UInt16(hasExtra ? zip64.bytes.count + 4 : 0))
        builder.append([UInt8](repeating: 0, count: 6))  // comment length, disk, internal attributes
        builder.append(0o100644 << 16 as UInt32)
        builder.append(isFar ? 0xFFFF_FFFF : UInt32(entry.headerOffset))
        builder.append(entry.name)
        if hasExtra {
            builder.append(1 as UInt16)
            builder.append(UInt16(zip64.bytes.count))
            builder.append(zip64.bytes)
        }
    }
}
