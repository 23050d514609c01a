/// The data of one run: the arrays that a graph's inputs and its loss read, all with the same number of rows.
///
/// Row i of every array belongs to sample i, unless rows are grouped into samples. Arrays keep their stored type; `gather` converts the rows of one physical
/// batch and no more.
public struct DataSet: Sendable {
    /// Number of rows, at least 1.
    public let count: Int
    /// The rows that form each sample; nil if every row is one.
    public private(set) var groups: RowGroups?
    /// Number of samples: what is drawn, clipped and protected as one.
    public var sampleCount: Int { groups?.rows.count ?? count }
    /// The bound keys: graph inputs first, in their order, then the target.
    public let keys: [String]
    /// The key of the targets, if they were found.
    public let targetKey: String?
    private let arrays: [String: NamedArray]

    /// What one graph input needs of the data.
    public struct InputSlot: Sendable, Hashable {
        public var name: String
        /// The shape of one sample (the input's shape without its batch axis), nil where any extent fits; nil as a
        /// whole when the graph does not say.
        public var sampleShape: [Int?]?

        public init(name: String, sampleShape: [Int?]? = nil) {
            self.name = name
            self.sampleShape = sampleShape
        }
    }

    /// Makes a data set of arrays that already carry their keys.
    ///
    /// Throws when an array has no sample axis, when the first axes differ, or when there are no samples.
    public init(arrays: [NamedArray], targetKey: String? = nil, groups: RowGroups? = nil) throws(DataError) {
        precondition(targetKey.map { key in arrays.contains { $0.name == key } } ?? true, "no array for the target")
        precondition(Set(arrays.map(\.name)).count == arrays.count, "two arrays of one name")
        for array in arrays where array.shape.isEmpty {
            throw DataError(.mismatch, "is a single number; its first axis must count the samples", at: array.place)
        }
        guard let first = arrays.first else { throw DataError(.mismatch, "there are no arrays to take samples from") }
        for array in arrays where array.rowCount != first.rowCount {
            throw DataError(
                .mismatch,
                "has \(array.rowCount) rows where array \(quoted(first.name)) has \(first.rowCount); first axes must "
                    + "agree", at: array.place)
        }
        if let groups, groups.rowCount != first.rowCount {
            throw DataError(
                .mismatch,
                "has \(first.rowCount) rows where \(quoted(groups.key)), by which they are grouped, has \(groups.rowCount)",
                at: first.place)
        }
        if first.rowCount == 0 { throw DataError(.mismatch, "has no rows", at: first.place) }
        count = first.rowCount
        keys = arrays.map(\.name)
        self.targetKey = targetKey
        self.groups = groups
        self.arrays = Dictionary(uniqueKeysWithValues: arrays.map { ($0.name, $0) })
    }

    /// The same rows, each a sample of its own.
    var ungrouped: DataSet {
        var copy = self
        copy.groups = nil
        return copy
    }

    /// The rows of one sample.
    public func rows(ofSample sample: Int) -> [Int] { groups?.rows[sample] ?? [sample] }

    /// The array under a key that `keys` lists.
    public subscript(key: String) -> NamedArray {
        guard let array = arrays[key] else { preconditionFailure("no array \(key) in the data set") }
        return array
    }

    /// Whether a key is bound.
    public func contains(_ key: String) -> Bool { arrays[key] != nil }

    /// Assembles a physical batch: the rows of one array, in the order given, as float32.
    ///
    /// `destination` holds `rows.count * self[key].rowElementCount` elements.
    public func gather(rows: [Int], key: String, into destination: UnsafeMutableBufferPointer<Float>) {
        self[key].gather(rows: rows, into: destination)
    }

    /// Assembles a physical batch as float64.
    public func gather(rows: [Int], key: String, into destination: UnsafeMutableBufferPointer<Double>) {
        self[key].gather(rows: rows, into: destination)
    }

    /// Assembles a physical batch as int64; throws, naming the array, when an element is not an integer.
    public func gather(
        rows: [Int], key: String, into destination: UnsafeMutableBufferPointer<Int64>
    ) throws(DataError) {
        try self[key].gather(rows: rows, into: destination)
    }

    /// Assembles a physical batch as int32; throws, naming the array, when an element does not fit.
    public func gather(
        rows: [Int], key: String, into destination: UnsafeMutableBufferPointer<Int32>
    ) throws(DataError) {
        try self[key].gather(rows: rows, into: destination)
    }

    /// Assembles a physical batch of booleans, one byte each; throws, naming the array, for elements but 0 and 1.
    public func gather(
        rows: [Int], key: String, into destination: UnsafeMutableBufferPointer<UInt8>
    ) throws(DataError) {
        try self[key].gather(rows: rows, into: destination)
    }
}
