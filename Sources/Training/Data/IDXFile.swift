/// MNIST's idx format: two zero bytes, a type code, the rank, big-endian extents, then big-endian elements in row-major
/// order; whole files may be gzip-compressed (http://yann.lecun.com/exdb/mnist, "file formats").
enum IDXFile {
    /// Reads one file into an array called `name`.
    static func array(file: String, name: String, divisor: Float) throws(DataError) -> NamedArray {
        let place = DataError.Place(file: file)
        let region = try ByteRegion.map(file: file)
        let isCompressed = region.count >= 2 && region.byte(0) == 0x1F && region.byte(1) == 0x8B
        let longestHeader = 4 + 4 * 255
        let prefix =
            isCompressed
            ? try inflatePrefix(
                region.bytes(0, region.count), size: longestHeader, wrapping: .gzip, place: place)
            : Array(region.bytes(0, min(region.count, longestHeader)))
        let header = try Header(prefix, place: place)
        let size = header.dataOffset + header.elementCount * header.type.byteCount
        var storage = region
        if isCompressed {
            storage = try inflateExactly(
                region.bytes(0, region.count), size: size, wrapping: .gzip, place: place)
        } else if region.count != size {
            throw DataError(
                .malformed, "has \(region.count) bytes where its idx header \(header.shape) needs \(size)", at: place)
        }
        var offset = header.dataOffset
        if header.type.byteCount > 1 {
            let elements = storage.bytes(offset, size - offset)
            storage = try ByteRegion.heap(count: elements.count, place: place) { target in
                target.copyMemory(from: elements)
                reverseBytes(target, elementSize: header.type.byteCount)
            }
            offset = 0
        }
        return NamedArray(
            name: name, type: header.type, shape: header.shape, divisor: header.type == .uint8 ? divisor : 1,
            file: file, storage: storage, offset: offset)
    }

    private struct Header {
        var type: StoredType
        var shape: [Int]
        var elementCount: Int
        var dataOffset: Int

        init(_ bytes: [UInt8], place: DataError.Place) throws(DataError) {
            guard bytes.count >= 4, bytes[0] == 0, bytes[1] == 0, bytes[3] > 0,
                let type = [
                    0x08: StoredType.uint8, 0x09: .int8, 0x0B: .int16, 0x0C: .int32, 0x0D: .float32, 0x0E: .float64,
                ][Int(bytes[2])]
            else { throw DataError(.malformed, "is not an idx file: it has a bad magic number", at: place) }
            let rank = Int(bytes[3])
            self.type = type
            dataOffset = 4 + 4 * rank
            guard bytes.count >= dataOffset else {
                throw DataError(.malformed, "ends inside its idx header", at: place)
            }
            shape = (0..<rank).map { axis in
                bytes[4 + 4 * axis..<8 + 4 * axis].reduce(0) { $0 << 8 | Int($1) }
            }
            guard rank <= NPYHeader.highestRank,
                let count = type.elementCount(ofShape: shape), count < 1 << 56
            else { throw DataError(.malformed, "has an idx shape whose size overflows", at: place) }
            elementCount = count
        }
    }

    /// The images and labels that a path stands for.
    ///
    /// A folder stands for its training files; an images file brings the labels file beside it, if there is one,
    /// whose name has `labels` and `idx1` in place of `images` and `idx3`, compressed or not.
    static func locate(path: String, isFolder: Bool) throws(DataError) -> (images: String?, labels: String?) {
        if isFolder {
            let folder = path.hasSuffix("/") ? path : path + "/"
            for name in ["train-images-idx3-ubyte", "train-images.idx3-ubyte"] {
                guard let images = existing(folder + name) else { continue }
                guard let labels = existing(folder + labelsName(name)) else {
                    throw DataError(.missingInput, "has \(name) but no \(labelsName(name))", at: .init(file: path))
                }
                return (images, labels)
            }
            throw DataError(
                .missingInput,
                "is a folder without train-images-idx3-ubyte(.gz); name a file, or a folder of idx files",
                at: .init(file: path))
        }
        let cut = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
        let folder = path[..<cut]
        var name = String(path[cut...])
        if name.contains("idx1") { return (nil, path) }
        if name.hasSuffix(".gz") { name.removeLast(3) }
        let partner = labelsName(name)
        return (path, partner == name ? nil : existing(folder + partner))
    }

    /// Whether a file's name says that it is an idx file: `...idx3-ubyte`, `....idx`, either with `.gz`.
    static func isName(_ path: String) -> Bool {
        var name = path.split(separator: "/").last.map(String.init) ?? path
        if name.hasSuffix(".gz") { name.removeLast(3) }
        return name.hasSuffix("-ubyte") || name.hasSuffix(".idx")
    }

    private static func labelsName(_ name: String) -> String {
        name.replacing("images", with: "labels").replacing("idx3", with: "idx1")
    }

    private static func existing(_ path: String) -> String? {
        [path, path + ".gz"].first { fileKind($0) == .regular }
    }
}
