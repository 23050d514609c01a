/// The index of a zip file (PKWARE APPNOTE 6.3), as NumPy's .npz uses it: entries stored or deflated, zip64 sizes.
///
/// The central directory is the truth; each entry's local header is checked against it, and no two entries may
/// share bytes, so a small file cannot pose as many large ones.
struct ZipArchive {
    struct Entry {
        var name: String
        var isDeflated: Bool
        var checksum: UInt32
        var size: Int
        /// Where the entry's bytes lie in the file, compressed if `isDeflated`.
        var data: Range<Int>
    }

    let region: ByteRegion
    let file: String
    private(set) var entries: [Entry] = []

    init(_ region: ByteRegion, file: String) throws(DataError) {
        self.region = region
        self.file = file
        let directory = try locateDirectory()
        var occupied: [Range<Int>] = []
        var position = directory.range.lowerBound
        for _ in 0..<directory.entryCount {
            let record = try CentralRecord(region, at: position, end: directory.range.upperBound, file: file)
            position = record.end
            let (entry, extent) = try resolve(record, before: directory.range.lowerBound)
            occupied.append(extent)
            entries.append(entry)
        }
        if position != directory.range.upperBound { throw malformed("has a zip directory of the wrong length") }
        occupied.sort { $0.lowerBound < $1.lowerBound }
        for (earlier, later) in zip(occupied, occupied.dropFirst()) where earlier.upperBound > later.lowerBound {
            throw malformed("has zip entries that overlap")
        }
        var seen: Set<String> = []
        for entry in entries where !seen.insert(entry.name).inserted {
            throw DataError(.malformed, "appears twice in the zip directory", at: .init(file: file, array: entry.name))
        }
    }

    /// The entry's bytes, checked against its CRC: in place when stored, expanded into memory when deflated.
    func contents(of entry: Entry) throws(DataError) -> (region: ByteRegion, offset: Int) {
        let place = DataError.Place(file: file, array: entry.name)
        let raw = region.bytes(entry.data.lowerBound, entry.data.count)
        var (source, offset) = (region, entry.data.lowerBound)
        if entry.isDeflated {
            source = try inflateExactly(raw, size: entry.size, wrapping: .none, place: place)
            offset = 0
        }
        guard checksum(source.bytes(offset, entry.size)) == entry.checksum else {
            throw DataError(.malformed, "does not match its CRC-32: the file is damaged", at: place)
        }
        return (source, offset)
    }

    private func malformed(_ message: String) -> DataError {
        DataError(.malformed, message, at: DataError.Place(file: file))
    }

    // MARK: Directory

    private func locateDirectory() throws(DataError) -> (range: Range<Int>, entryCount: Int) {
        let recordSize = 22
        guard region.count >= recordSize else { throw malformed("is too short to be a zip file") }
        // The end record is followed by a comment of at most 65535 bytes.
        var end = region.count - recordSize
        let lowest = max(0, end - 0xFFFF)
        while !isEndRecord(end) {
            end -= 1
            if end < lowest { throw malformed("is not a complete zip file: it has no end record") }
        }
        var entryCount = Int(region.littleEndian(end + 10, as: UInt16.self))
        var size = Int(region.littleEndian(end + 12, as: UInt32.self))
        var start = Int(region.littleEndian(end + 16, as: UInt32.self))
        var disks = [region.littleEndian(end + 4, as: UInt16.self), region.littleEndian(end + 6, as: UInt16.self)]
        var directoryEnd = end
        // Some writers, PyTorch among them, add the 64-bit record to small files, too.
        if end >= 20, region.littleEndian(end - 20, as: UInt32.self) == 0x0706_4B50 {
            let record64 = Int(clamping: region.littleEndian(end - 12, as: UInt64.self))
            guard record64 <= end - 20 - 56, region.littleEndian(record64, as: UInt32.self) == 0x0606_4B50 else {
                throw malformed("has a zip64 locator that points nowhere")
            }
            entryCount = Int(clamping: region.littleEndian(record64 + 32, as: UInt64.self))
            size = Int(clamping: region.littleEndian(record64 + 40, as: UInt64.self))
            start = Int(clamping: region.littleEndian(record64 + 48, as: UInt64.self))
            disks = []
            directoryEnd = record64
        }
        guard disks.allSatisfy({ $0 == 0 }) else { throw malformed("is one part of a split zip file") }
        guard region.contains(start, size), start + size == directoryEnd else {
            throw malformed("has a zip directory that does not lie before its end record")
        }
        // 46 bytes is the shortest directory record.
        guard entryCount <= size / 46 else { throw malformed("declares \(entryCount) zip entries") }
        return (start..<start + size, entryCount)
    }

    private func isEndRecord(_ position: Int) -> Bool {
        region.littleEndian(position, as: UInt32.self) == 0x0605_4B50
            && Int(region.littleEndian(position + 20, as: UInt16.self)) == region.count - position - 22
    }

    /// Checks an entry's local header and finds its data; the extent runs from the local header to the data's end.
    private func resolve(
        _ record: CentralRecord, before limit: Int
    ) throws(DataError) -> (entry: Entry, extent: Range<Int>) {
        let place = DataError.Place(file: file, array: record.name)
        if record.flags & 1 != 0 { throw DataError(.unsupported, "is encrypted", at: place) }
        guard record.method == 0 || record.method == 8 else {
            throw DataError(
                .unsupported, "uses zip compression method \(record.method); store or deflate it", at: place)
        }
        let header = record.headerOffset
        guard header <= limit - 30, region.littleEndian(header, as: UInt32.self) == 0x0403_4B50 else {
            throw DataError(.malformed, "has no local zip header where the directory says", at: place)
        }
        let nameLength = Int(region.littleEndian(header + 26, as: UInt16.self))
        let extraLength = Int(region.littleEndian(header + 28, as: UInt16.self))
        let start = header + 30 + nameLength + extraLength
        guard start <= limit, record.compressedSize <= limit - start else {
            throw DataError(.malformed, "runs past the end of the zip file's data", at: place)
        }
        guard region.bytes(header + 30, nameLength).elementsEqual(record.name.utf8),
            region.littleEndian(header + 8, as: UInt16.self) == record.method
        else { throw DataError(.malformed, "has a local zip header that contradicts the directory", at: place) }
        if record.method == 0 && record.size != record.compressedSize {
            throw DataError(.malformed, "is stored, yet its two sizes differ", at: place)
        }
        let data = start..<start + record.compressedSize
        let entry = Entry(
            name: record.name, isDeflated: record.method == 8, checksum: record.checksum, size: record.size, data: data)
        return (entry, header..<data.upperBound)
    }
}

/// One record of the central directory.
private struct CentralRecord {
    var name: String
    var flags: UInt16
    var method: UInt16
    var checksum: UInt32
    var compressedSize: Int
    var size: Int
    var headerOffset: Int
    var end: Int

    init(_ region: ByteRegion, at position: Int, end limit: Int, file: String) throws(DataError) {
        let place = DataError.Place(file: file)
        guard position <= limit - 46, region.littleEndian(position, as: UInt32.self) == 0x0201_4B50 else {
            throw DataError(.malformed, "has a damaged zip directory", at: place)
        }
        flags = region.littleEndian(position + 8, as: UInt16.self)
        method = region.littleEndian(position + 10, as: UInt16.self)
        checksum = region.littleEndian(position + 16, as: UInt32.self)
        compressedSize = Int(region.littleEndian(position + 20, as: UInt32.self))
        size = Int(region.littleEndian(position + 24, as: UInt32.self))
        headerOffset = Int(region.littleEndian(position + 42, as: UInt32.self))
        let nameLength = Int(region.littleEndian(position + 28, as: UInt16.self))
        let extraLength = Int(region.littleEndian(position + 30, as: UInt16.self))
        let commentLength = Int(region.littleEndian(position + 32, as: UInt16.self))
        let nameStart = position + 46
        end = nameStart + nameLength + extraLength + commentLength
        guard end <= limit else { throw DataError(.malformed, "has a damaged zip directory", at: place) }
        guard let name = String(validating: region.bytes(nameStart, nameLength), as: UTF8.self) else {
            throw DataError(.malformed, "has a zip entry whose name is not UTF-8", at: place)
        }
        self.name = name
        try readZip64(region, nameStart + nameLength, extraLength, place: .init(file: file, array: name))
    }

    /// Replaces the fields that hold 0xFFFFFFFF by the 64-bit values of extra field 1, in APPNOTE's order.
    private mutating func readZip64(
        _ region: ByteRegion, _ start: Int, _ length: Int, place: DataError.Place
    ) throws(DataError) {
        let absent = 0xFFFF_FFFF
        guard size == absent || compressedSize == absent || headerOffset == absent else { return }
        var position = start
        let limit = start + length
        while position <= limit - 4 {
            let tag = region.littleEndian(position, as: UInt16.self)
            let fieldEnd = position + 4 + Int(region.littleEndian(position + 2, as: UInt16.self))
            guard fieldEnd <= limit else { break }
            if tag != 1 {
                position = fieldEnd
                continue
            }
            var cursor = position + 4
            for field in [\CentralRecord.size, \.compressedSize, \.headerOffset] where self[keyPath: field] == absent {
                guard cursor <= fieldEnd - 8,
                    let value = Int(exactly: region.littleEndian(cursor, as: UInt64.self)), value < 1 << 56
                else { throw DataError(.malformed, "has a damaged zip64 field", at: place) }
                self[keyPath: field] = value
                cursor += 8
            }
            return
        }
        throw DataError(.malformed, "declares 4 GiB sizes without a zip64 field", at: place)
    }
}
