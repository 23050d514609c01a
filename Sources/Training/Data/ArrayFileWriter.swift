public import Glibc

/// Writes arrays to an .npy, .npz or .safetensors file, chosen by its extension, in one pass and atomically.
///
/// All arrays are declared first, then their elements are appended, array after array in the declared order, in
/// pieces of any size; `finish()` gives the file its name. A writer that is dropped before leaves nothing behind.
public struct ArrayFileWriter: ~Copyable {
    /// Name, element type and shape of an array to come.
    public struct Declaration: Sendable, Hashable {
        public var name: String
        public var type: StoredType
        public var shape: [Int]

        public init(name: String, type: StoredType, shape: [Int]) {
            self.name = name
            self.type = type
            self.shape = shape
        }

        var byteCount: Int {
            guard let count = type.elementCount(ofShape: shape) else { preconditionFailure("shape overflows") }
            return count * type.byteCount
        }
    }

    private let arrays: [Declaration]
    private var encoder: any ArrayEncoder
    private let file: AtomicFile
    private var current: Int
    private var appended = 0

    /// Whether a file of this name can be written.
    public static func canWrite(path: String) -> Bool {
        switch ArrayFile.format(ofName: path) {
        case .npy, .npz, .safetensors: true
        case .csv, .idx, nil: false
        }
    }

    /// Creates the file. Throws when it cannot be created, its extension is not one that can be written, or an .npy
    /// file is asked to hold other than one array.
    ///
    /// - Parameters:
    ///   - compress: deflate the entries of an .npz; without effect on the other formats, which know no compression.
    ///   - permissions: mode of the new file before the umask; 0o600 for what only its owner may see.
    public init(
        path: String, arrays: [Declaration], compress: Bool = false, permissions: mode_t = 0o666
    ) throws(DataError) {
        try self.init(
            path: path, arrays: arrays, compress: compress, permissions: permissions, zip64Threshold: 0xFFFF_FFFF)
    }

    /// `zip64Threshold` is where sizes and offsets leave the 32-bit fields of a zip file; lower in tests.
    init(
        path: String, arrays: [Declaration], compress: Bool, permissions: mode_t, zip64Threshold: Int
    ) throws(DataError) {
        precondition(Set(arrays.map(\.name)).count == arrays.count, "two arrays of one name")
        let place = DataError.Place(file: path)
        let format = ArrayFile.format(ofName: path)
        if format == .npy && arrays.count != 1 {
            throw DataError(
                .cannotCreate, "an .npy file holds one array, not \(arrays.count); write an .npz", at: place)
        }
        guard Self.canWrite(path: path) else {
            throw DataError(
                .cannotCreate, "has no extension that can be written: .npy, .npz or .safetensors", at: place)
        }
        // A value that cannot be copied is either complete or not there: everything that throws comes first.
        let file = try AtomicFile(path: path, permissions: permissions)
        var encoder: any ArrayEncoder
        switch format {
        case .npy: encoder = NPYEncoder(file: file)
        case .npz: encoder = NPZEncoder(file: file, compress: compress, zip64Threshold: zip64Threshold)
        default: encoder = try SafetensorsEncoder(file: file, arrays: arrays)
        }
        current = try Self.begin(arrays, from: 0, encoder: &encoder)
        self.arrays = arrays
        self.file = file
        self.encoder = encoder
    }

    /// Appends elements, little-endian and row-major, to the array under way. Appending past an array's end, or across
    /// it, is a caller's bug.
    public mutating func append(bytes: UnsafeRawBufferPointer) throws(DataError) {
        if bytes.isEmpty { return }
        precondition(current < arrays.count, "all declared arrays are complete")
        precondition(bytes.count <= arrays[current].byteCount - appended, "more elements than declared")
        try encoder.append(bytes)
        appended += bytes.count
        if appended == arrays[current].byteCount {
            try encoder.end()
            appended = 0
            current = try Self.begin(arrays, from: current + 1, encoder: &encoder)
        }
    }

    /// Appends elements of the declared type to the array under way.
    public mutating func append<Element: StorableElement>(_ elements: UnsafeBufferPointer<Element>) throws(DataError) {
        if elements.isEmpty { return }
        precondition(current < arrays.count && Element.storedType == arrays[current].type, "another type was declared")
        try append(bytes: UnsafeRawBufferPointer(elements))
    }

    /// Appends elements of the declared type to the array under way.
    public mutating func append<Element: StorableElement>(_ elements: [Element]) throws(DataError) {
        try elements.withUnsafeBufferPointer { (buffer) throws(DataError) in try append(buffer) }
    }

    /// Completes the file and gives it its name. All declared arrays must be complete.
    public consuming func finish() throws(DataError) {
        precondition(current == arrays.count, "array \(arrays[current].name) is not complete")
        try encoder.finish()
        try file.commit()
    }

    /// Begins the next array that has elements and returns its index; arrays without any are complete at once.
    private static func begin(
        _ arrays: [Declaration], from start: Int, encoder: inout any ArrayEncoder
    ) throws(DataError) -> Int {
        for index in start..<arrays.count {
            try encoder.begin(arrays[index])
            if arrays[index].byteCount > 0 { return index }
            try encoder.end()
        }
        return arrays.count
    }
}

/// What a format does with a sequence of arrays.
protocol ArrayEncoder {
    mutating func begin(_ array: ArrayFileWriter.Declaration) throws(DataError)
    mutating func append(_ bytes: UnsafeRawBufferPointer) throws(DataError)
    mutating func end() throws(DataError)
    mutating func finish() throws(DataError)
}

/// Collects little-endian integers and text.
struct ByteBuilder {
    private(set) var bytes: [UInt8] = []

    mutating func append<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
    mutating func append(_ other: [UInt8]) { bytes.append(contentsOf: other) }
}
