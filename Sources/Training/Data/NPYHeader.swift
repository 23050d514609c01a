/// The header of an .npy array: versions 1.0, 2.0 and 3.0 of NumPy's format (numpy.lib.format).
struct NPYHeader: Equatable {
    var type: StoredType
    var isBigEndian: Bool
    var isFortranOrder: Bool
    var shape: [Int]
    /// Offset of the first element from the magic's first byte.
    var dataOffset: Int

    static let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
    /// Longest header dictionary accepted, in bytes; real ones have about a hundred.
    static let longestDictionary = 1 << 16
    static let highestRank = 64

    /// Parses the header of the array in `region[offset ..< offset + length]`.
    init(_ region: ByteRegion, offset: Int, length: Int, place: DataError.Place) throws(DataError) {
        let dictionary: NPYDictionaryParser.Dictionary
        (dictionary, dataOffset) = try Self.dictionary(region, offset: offset, length: length, place: place)
        (type, isBigEndian) = try Self.storedType(descr: dictionary.descr, place: place)
        isFortranOrder = dictionary.isFortranOrder
        shape = dictionary.shape
        guard type.elementCount(ofShape: shape) != nil else {
            throw DataError(.malformed, "has a shape whose size overflows", at: place)
        }
    }

    /// What the header says, and the offset of the first element from the magic's first byte.
    static func dictionary(_ region: ByteRegion, offset: Int, length: Int, place: DataError.Place) throws(DataError)
        -> (dictionary: NPYDictionaryParser.Dictionary, dataOffset: Int)
    {
        precondition(region.contains(offset, length))
        guard length >= 10, region.bytes(offset, 6).elementsEqual(Self.magic) else {
            throw DataError(.malformed, "is not an .npy array: it does not start with \\x93NUMPY", at: place)
        }
        let prefix: Int
        let dictionaryLength: Int
        switch region.byte(offset + 6) {
        case 1:
            prefix = 10
            dictionaryLength = Int(region.littleEndian(offset + 8, as: UInt16.self))
        case 2, 3:
            guard length >= 12 else { throw DataError(.malformed, "ends inside the .npy header", at: place) }
            prefix = 12
            dictionaryLength = Int(region.littleEndian(offset + 8, as: UInt32.self))
        case let major:
            throw DataError(
                .unsupported, ".npy format version \(major) is unknown; versions 1 to 3 are read", at: place)
        }
        guard dictionaryLength <= Self.longestDictionary else {
            throw DataError(.malformed, "declares an .npy header of \(dictionaryLength) bytes", at: place)
        }
        guard dictionaryLength <= length - prefix else {
            throw DataError(.malformed, "ends inside the .npy header", at: place)
        }
        var parser = NPYDictionaryParser(bytes: Array(region.bytes(offset + prefix, dictionaryLength)), place: place)
        let dictionary = try parser.parse()
        guard dictionary.shape.count <= Self.highestRank else {
            throw DataError(.malformed, "has \(dictionary.shape.count) dimensions", at: place)
        }
        return (dictionary, prefix + dictionaryLength)
    }

    private static func storedType(descr: String, place: DataError.Place) throws(DataError) -> (StoredType, Bool) {
        let code = descr.first.map { "<>|=".contains($0) } == true ? String(descr.dropFirst()) : descr
        let type: StoredType
        switch code {
        case "b1", "?": type = .bool
        case "i1": type = .int8
        case "i2": type = .int16
        case "i4": type = .int32
        case "i8": type = .int64
        case "u1": type = .uint8
        case "u2": type = .uint16
        case "u4": type = .uint32
        case "u8": type = .uint64
        case "f2": type = .float16
        case "f4": type = .float32
        case "f8": type = .float64
        default:
            let reason = code.hasPrefix("O") ? "holds pickled Python objects, which are never loaded" : "is not read"
            throw DataError(
                .unsupported, "dtype \(quoted(descr)) \(reason); save it as float, int or bool", at: place)
        }
        return (type, descr.hasPrefix(">") && type.byteCount > 1)
    }

    /// The array in `region[offset ..< offset + length]`, which it must fill exactly.
    ///
    /// Little-endian C order stays where it is; other layouts are copied once into that form.
    static func array(
        _ region: ByteRegion, offset: Int, length: Int, name: String, place: DataError.Place
    ) throws(DataError) -> NamedArray {
        let header = try NPYHeader(region, offset: offset, length: length, place: place)
        let count = header.type.elementCount(ofShape: header.shape)!
        let size = header.type.byteCount
        guard count * size == length - header.dataOffset else {
            throw DataError(
                .malformed,
                "holds \(length - header.dataOffset) bytes of data where its shape \(header.shape) of "
                    + "\(header.type.rawValue) needs \(count * size)", at: place)
        }
        let start = offset + header.dataOffset
        let transposes = header.isFortranOrder && header.shape.filter { $0 != 1 }.count > 1 && count > 0
        if !transposes && !header.isBigEndian {
            return NamedArray(
                name: name, type: header.type, shape: header.shape, file: place.file, storage: region, offset: start)
        }
        let source = region.bytes(start, count * size)
        let copy = try ByteRegion.heap(count: count * size, place: place) { target in
            if transposes {
                copyFortranOrder(source, into: target, shape: header.shape, elementSize: size)
            } else {
                target.copyMemory(from: source)
            }
            if header.isBigEndian { reverseBytes(target, elementSize: size) }
        }
        return NamedArray(
            name: name, type: header.type, shape: header.shape, file: place.file, storage: copy, offset: 0)
    }
}

/// Rewrites column-major elements in row-major order.
private func copyFortranOrder(
    _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer, shape: [Int], elementSize: Int
) {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in 1..<shape.count { strides[axis] = strides[axis - 1] * shape[axis - 1] }
    var index = [Int](repeating: 0, count: shape.count)
    var position = 0
    for element in 0..<shape.reduce(1, *) {
        (target.baseAddress! + element * elementSize).copyMemory(
            from: source.baseAddress! + position * elementSize, byteCount: elementSize)
        var axis = shape.count - 1
        while axis >= 0 {
            index[axis] += 1
            position += strides[axis]
            if index[axis] < shape[axis] { break }
            position -= shape[axis] * strides[axis]
            index[axis] = 0
            axis -= 1
        }
    }
}

/// Turns big-endian elements into little-endian ones and back.
func reverseBytes(_ bytes: UnsafeMutableRawBufferPointer, elementSize: Int) {
    for start in stride(from: 0, to: bytes.count, by: elementSize) {
        for step in 0..<elementSize / 2 { bytes.swapAt(start + step, start + elementSize - 1 - step) }
    }
}
