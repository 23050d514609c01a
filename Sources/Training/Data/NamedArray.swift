/// A dense array with a name, row-major, in the element type of the file it came from.
///
/// Elements are converted when rows are gathered, never all at once. A copy of the value shares the storage.
public struct NamedArray: Sendable {
    public let name: String
    public let type: StoredType
    /// Extents, outermost first; axis 0 counts the samples when the array is part of a data set.
    public let shape: [Int]
    /// What a floating-point gather divides every element by: 255 for the pixels of an idx file, 1 for all else.
    public let divisor: Float
    /// Where the array came from, for messages; nil for arrays made in memory.
    public let file: String?
    let storage: ByteRegion
    let offset: Int

    init(
        name: String, type: StoredType, shape: [Int], divisor: Float = 1, file: String?, storage: ByteRegion,
        offset: Int
    ) {
        guard let count = type.elementCount(ofShape: shape) else { preconditionFailure("shape overflows") }
        precondition(storage.contains(offset, count * type.byteCount), "storage too small for the shape")
        self.name = name
        self.type = type
        self.shape = shape
        self.divisor = divisor
        self.file = file
        self.storage = storage
        self.offset = offset
    }

    /// Makes an array from values in row-major order; `values.count` is the product of `shape`.
    public init<Element: StorableElement>(name: String, shape: [Int], values: [Element]) {
        let type = Element.storedType
        precondition(type.elementCount(ofShape: shape) == values.count, "shape does not fit the values")
        do {
            storage = try ByteRegion.heap(count: values.count * type.byteCount, place: .init()) { bytes in
                values.withUnsafeBytes { bytes.copyMemory(from: $0) }
            }
        } catch {
            preconditionFailure(error.description)
        }
        self.name = name
        self.type = type
        self.shape = shape
        divisor = 1
        file = nil
        offset = 0
    }

    /// Makes an array whose bytes `fill` writes: row-major, little-endian, all of them.
    ///
    /// - Throws: `DataError` if the shape's size is not a number of bytes that this machine has, and what `fill` throws.
    public init(
        name: String, type: StoredType, shape: [Int],
        fill: (UnsafeMutableRawBufferPointer) throws(DataError) -> Void
    ) throws(DataError) {
        let place = DataError.Place(array: name)
        guard let count = type.elementCount(ofShape: shape) else {
            throw DataError(.malformed, "has the impossible shape \(shape)", at: place)
        }
        let storage = try ByteRegion.heap(count: count * type.byteCount, place: place, fill: fill)
        self.init(name: name, type: type, shape: shape, file: nil, storage: storage, offset: 0)
    }

    /// Makes an array of the caller's own bytes: row-major, little-endian, unchanged and in place for as long as the array
    /// or a copy of it lives.
    ///
    /// - Throws: `DataError` if there are not as many bytes as the shape needs.
    public init(name: String, type: StoredType, shape: [Int], borrowing bytes: UnsafeRawBufferPointer) throws(DataError)
    {
        guard let count = type.elementCount(ofShape: shape), count * type.byteCount == bytes.count else {
            throw DataError(.malformed, "has the impossible shape \(shape)", at: DataError.Place(array: name))
        }
        self.init(name: name, type: type, shape: shape, file: nil, storage: .borrowing(bytes), offset: 0)
    }

    /// Number of elements.
    public var elementCount: Int { shape.reduce(1, *) }

    /// Extent of axis 0; an array of rank 0 has no rows.
    public var rowCount: Int { shape.first ?? 0 }

    /// Shape of one row: all axes but the first.
    public var rowShape: [Int] { Array(shape.dropFirst()) }

    /// Elements in one row.
    public var rowElementCount: Int { shape.dropFirst().reduce(1, *) }

    /// Calls `body` with the elements' bytes: row-major, little-endian, possibly unaligned.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(storage.bytes(offset, elementCount * type.byteCount))
    }

    /// Gives the memory back that reading the elements of a mapped file took; they are read again when they are needed.
    public func discardPages() { storage.discardPages(offset, elementCount * type.byteCount) }

    /// All elements as float32, row by row; float64 is rounded.
    public func floats() -> [Float] {
        [Float](unsafeUninitializedCapacity: elementCount) { buffer, count in
            count = elementCount
            let all = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
            if count > 0 { reshaped(to: [1, count]).gather(rows: [0], into: all) }
        }
    }

    /// The same elements under another shape of equal size.
    func reshaped(to shape: [Int]) -> NamedArray {
        precondition(shape.reduce(1, *) == elementCount)
        return NamedArray(
            name: name, type: type, shape: shape, divisor: divisor, file: file, storage: storage, offset: offset)
    }

    /// The same array under another name.
    public func renamed(to name: String) -> NamedArray {
        NamedArray(
            name: name, type: type, shape: shape, divisor: divisor, file: file, storage: storage, offset: offset)
    }

    var place: DataError.Place { DataError.Place(file: file, array: name) }
}
