/// Rows that together count as one sample: the privacy units of a data set whose people have several rows each.
public struct RowGroups: Sendable {
    /// The array whose equal values make a group.
    public let key: String
    /// The rows of each group, in order; groups in the order of their first row.
    public let rows: [[Int]]
    /// Number of rows of all groups together.
    let rowCount: Int

    /// The largest number of rows that a group has.
    public var largest: Int { rows.reduce(0) { max($0, $1.count) } }

    /// - Parameter labels: what each row is grouped by.
    init<Label: Hashable>(key: String, labels: some Sequence<Label>) {
        var numbers: [Label: Int] = [:]
        var rows: [[Int]] = []
        var count = 0
        for label in labels {
            if let group = numbers[label] {
                rows[group].append(count)
            } else {
                numbers[label] = rows.count
                rows.append([count])
            }
            count += 1
        }
        self.key = key
        self.rows = rows
        rowCount = count
    }
}

extension RowGroups {
    /// Groups rows by equal entries of an array of integers or booleans; an entry may have several elements.
    /// - Throws: `DataError` if the array holds floating-point numbers, which are equal by chance only.
    public init(by array: NamedArray) throws(DataError) {
        guard !array.type.isFloatingPoint, !array.shape.isEmpty else {
            throw DataError(
                .mismatch,
                "is \(array.shape.isEmpty ? "a single number" : "\(array.type.rawValue)"); rows are grouped by "
                    + "an array of integers or text, one entry per row", at: array.place)
        }
        let width = array.rowElementCount * array.type.byteCount
        self = array.withUnsafeBytes { bytes in
            RowGroups(
                key: array.name, labels: (0..<array.rowCount).lazy.map { Array(bytes[$0 * width..<($0 + 1) * width]) })
        }
    }
}

extension ArrayFile {
    /// The groups of rows that have the same entry in an array: integers, booleans, or text (columns of .csv, arrays of
    /// NumPy's types `S` and `U`).
    /// - Throws: `DataError` if there is no such array or it holds something else.
    func groups(by key: String) throws(DataError) -> RowGroups {
        switch contents {
        case .csv(let table, _):
            if let texts = table.texts[key] { return RowGroups(key: key, labels: texts) }
        case .npz(let archive, let entries):
            guard let entry = entries[key] else { break }
            let (region, offset) = try archive.contents(of: entry)
            let place = DataError.Place(file: path, array: key)
            if let text = try NPYText(region, offset: offset, length: entry.size, place: place) {
                return RowGroups(key: key, labels: text.rows)
            }
        case .arrays, .safetensors: break
        }
        return try RowGroups(by: array(key))
    }
}
