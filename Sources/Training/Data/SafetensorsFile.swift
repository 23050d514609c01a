/// The index of a .safetensors file: eight bytes of header length, a JSON header, then the elements of all tensors
/// without gaps, overlaps or bytes left over (Hugging Face safetensors format).
struct SafetensorsFile {
    struct Tensor {
        var name: String
        /// The format's own type name, kept so that a type nobody asks for does not spoil the file.
        var typeName: String
        var shape: [Int]
        var data: Range<Int>
    }

    /// Longest header accepted: the limit of the reference implementation.
    static let longestHeader = 100_000_000

    let region: ByteRegion
    let file: String
    /// Ordered as the elements lie in the file.
    private(set) var tensors: [Tensor] = []

    init(_ region: ByteRegion, file: String) throws(DataError) {
        self.region = region
        self.file = file
        let place = DataError.Place(file: file)
        guard region.count >= 8 else { throw DataError(.malformed, "is too short to be a safetensors file", at: place) }
        let declared = region.littleEndian(0, as: UInt64.self)
        guard declared <= Self.longestHeader else {
            throw DataError(.malformed, "declares a safetensors header of \(declared) bytes", at: place)
        }
        let headerLength = Int(declared)
        guard headerLength <= region.count - 8 else {
            throw DataError(.malformed, "ends inside the safetensors header", at: place)
        }
        var cursor = JSONCursor(region.bytes(8, headerLength), place: place)
        var tensors: [Tensor] = []
        try cursor.object { (cursor, name) throws(DataError) in
            if name == "__metadata__" { return try cursor.skip() }
            tensors.append(try Self.tensor(&cursor, name: name, file: file))
        }
        try cursor.expectEnd()
        tensors.sort { ($0.data.lowerBound, $0.data.upperBound) < ($1.data.lowerBound, $1.data.upperBound) }
        self.tensors = tensors
        try checkCoverage(start: 8 + headerLength)
    }

    /// The tensor, in place.
    func array(_ tensor: Tensor) throws(DataError) -> NamedArray {
        let place = DataError.Place(file: file, array: tensor.name)
        guard let type = Self.storedTypes[tensor.typeName] else {
            throw DataError(
                .unsupported, "dtype \(quoted(tensor.typeName)) is not read; save it as float, int or bool", at: place)
        }
        guard let count = type.elementCount(ofShape: tensor.shape) else {
            throw DataError(.malformed, "has a shape whose size overflows", at: place)
        }
        guard count * type.byteCount == tensor.data.count else {
            throw DataError(
                .malformed,
                "has \(tensor.data.count) bytes where its shape \(tensor.shape) of \(type.rawValue) needs "
                    + "\(count * type.byteCount)", at: place)
        }
        return NamedArray(
            name: tensor.name, type: type, shape: tensor.shape, file: file, storage: region,
            offset: tensor.data.lowerBound)
    }

    static let storedTypes: [String: StoredType] = [
        "BOOL": .bool, "I8": .int8, "I16": .int16, "I32": .int32, "I64": .int64, "U8": .uint8, "U16": .uint16,
        "U32": .uint32, "U64": .uint64, "F16": .float16, "BF16": .bfloat16, "F32": .float32, "F64": .float64,
    ]

    private static func tensor(
        _ cursor: inout JSONCursor, name: String, file: String
    ) throws(DataError) -> Tensor {
        var typeName: String?
        var shape: [Int]?
        var offsets: [Int]?
        try cursor.object { (cursor, key) throws(DataError) in
            switch key {
            case "dtype": typeName = try cursor.string()
            case "shape": shape = try integers(&cursor)
            case "data_offsets": offsets = try integers(&cursor)
            default: try cursor.skip()
            }
        }
        let place = DataError.Place(file: file, array: name)
        guard let typeName, let shape, let offsets, offsets.count == 2 else {
            throw DataError(.malformed, "lacks one of dtype, shape and data_offsets in the header", at: place)
        }
        guard shape.count <= NPYHeader.highestRank else {
            throw DataError(.malformed, "has \(shape.count) dimensions", at: place)
        }
        guard offsets[0] <= offsets[1] else { throw DataError(.malformed, "has reversed data_offsets", at: place) }
        return Tensor(name: name, typeName: typeName, shape: shape, data: offsets[0]..<offsets[1])
    }

    private static func integers(_ cursor: inout JSONCursor) throws(DataError) -> [Int] {
        var values: [Int] = []
        try cursor.array { (cursor) throws(DataError) in values.append(try cursor.unsigned()) }
        return values
    }

    /// Checks that the tensors tile the bytes behind the header, and turns their offsets into file offsets.
    private mutating func checkCoverage(start: Int) throws(DataError) {
        let available = region.count - start
        var reached = 0
        for index in tensors.indices {
            let data = tensors[index].data
            let place = DataError.Place(file: file, array: tensors[index].name)
            guard data.upperBound <= available else {
                throw DataError(.malformed, "runs past the end of the file", at: place)
            }
            guard data.lowerBound == reached else {
                let fault = data.lowerBound < reached ? "overlaps the tensor before it" : "leaves a gap before it"
                throw DataError(.malformed, fault, at: place)
            }
            reached = data.upperBound
            tensors[index].data = start + data.lowerBound..<start + data.upperBound
        }
        guard reached == available else {
            throw DataError(
                .malformed, "has \(available - reached) bytes that no tensor describes", at: .init(file: file))
        }
    }
}
