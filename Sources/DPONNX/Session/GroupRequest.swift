/// Rows that together count as one sample, as a user of a session states it.
public struct GroupRequest: Sendable, Hashable {
    /// The array of a batch whose equal values make a group.
    public var key: String
    /// The most rows that a group has.
    public var largest: Int

    public init(key: String, largest: Int) {
        self.key = key
        self.largest = largest
    }

    /// Rows like the first one of `example`, in groups of every power of two up to the largest: what a step is compiled
    /// for.
    /// - Throws: `DataError` if there is not enough memory.
    func example(_ example: DataSet) throws(DataError) -> DataSet {
        let sizes = Array(sequence(first: largest) { $0 > 1 ? $0 / 2 : nil })
        let count = sizes.reduce(0, +)
        var arrays: [NamedArray] = []
        for name in example.keys {
            let array = example[name]
            let width = array.rowElementCount * array.type.byteCount
            arrays.append(
                try NamedArray(name: name, type: array.type, shape: [count] + array.rowShape) { target in
                    array.withUnsafeBytes { source in
                        for row in 0..<count where width > 0 {
                            UnsafeMutableRawBufferPointer(rebasing: target[(row * width)...]).copyMemory(
                                from: UnsafeRawBufferPointer(rebasing: source[..<width]))
                        }
                    }
                })
        }
        let labels = sizes.enumerated().flatMap { Array(repeating: Int64($0.offset), count: $0.element) }
        return try DataSet(
            arrays: arrays, targetKey: example.targetKey,
            groups: RowGroups(by: NamedArray(name: key, shape: [count], values: labels)))
    }
}
