import Kernels

/// Records of the form that a data set has, made so that gradients are long and their parts point the same way: targets of
/// other rows, one value at all positions of the integers (a sentence of one word, its own target), other numbers far from
/// all there are. Where rows are grouped, all rows of a record's group are equal.
///
/// An array counts as integers if all its numbers looked at are. They stay between the smallest and the largest value that a position has in the data, so that they mean something
/// to the model wherever the data's own do.
struct CraftedRecords {
    private let data: DataSet
    private let generator: any RandomGenerator
    /// Rows whose values are made use of.
    private let rows: [Int]
    private let integers: [String: Integers]

    /// What an array of integers holds.
    private struct Integers {
        var values: [Int64]
        /// By position in a row.
        var ranges: [ClosedRange<Int64>]

        /// The row with `value` wherever it is in range.
        func repeated(_ value: Int64, over row: [Int64]) -> [Int64] {
            zip(row, ranges).map { $1.contains(value) ? value : $0 }
        }
    }

    private static let largestRowCount = 256
    private static let scale: Float = 64

    init(_ data: DataSet, _ generator: any RandomGenerator) {
        self.data = data
        self.generator = generator
        let count = min(data.count, Self.largestRowCount)
        let rows = (0..<count).map { $0 * data.count / count }
        self.rows = rows
        integers = Dictionary(
            uniqueKeysWithValues: data.keys.compactMap { key in
                // What is divided is read as a fraction.
                guard data[key].divisor == 1, let values = try? data[key].integers(rows) else { return nil }
                let width = data[key].rowElementCount
                let ranges = (0..<width).map { position in
                    let column = stride(from: position, to: values.count, by: width).map { values[$0] }
                    return column.min()!...column.max()!
                }
                return (key, Integers(values: values, ranges: ranges))
            })
    }

    /// - Throws: `DataError` if there is not enough memory.
    func records(_ count: Int) throws -> DataSet {
        var reals: [String: [Float]] = [:]
        var whole: [String: [Int64]] = [:]
        let size = data.groups?.largest ?? 1
        for number in 0..<count {
            let own = rows[Int(generator.uniform(below: UInt64(rows.count)))]
            let other = rows[Int(generator.uniform(below: UInt64(rows.count)))]
            let (repeats, scales) = (!number.isMultiple(of: 3), !number.isMultiple(of: 2))
            let common = pick(data.keys.filter { $0 != data.targetKey && integers[$0]?.values.isEmpty == false })
            for key in data.keys {
                let row = key == data.targetKey ? other : own
                if let kind = integers[key] {
                    var values = try data[key].integers([row])
                    // Inputs of one kind share a value; a target is that value as often as one of its own.
                    let isCommon = key != data.targetKey || generator.bernoulli(0.5)
                    if repeats, let value = isCommon ? common ?? pick([key]) : pick([key]) {
                        values = kind.repeated(value, over: values)
                    }
                    whole[key, default: []] += Array(repeating: values, count: size).joined()
                } else {
                    let isScaled = scales && key != data.targetKey
                    let values = data[key].reals([row]).map { isScaled ? $0 * Self.scale : $0 }
                    reals[key, default: []] += Array(repeating: values, count: size).joined()
                }
            }
        }
        let arrays = data.keys.map { key in
            let shape = [count * size] + data[key].rowShape
            return whole[key].map { NamedArray(name: key, shape: shape, values: $0) }
                ?? NamedArray(name: key, shape: shape, values: reals[key] ?? [])
        }
        let groups = data.groups.map { groups in
            RowGroups(key: groups.key, labels: (0..<count).flatMap { Array(repeating: $0, count: size) })
        }
        return try DataSet(arrays: arrays, targetKey: data.targetKey, groups: groups)
    }

    /// A value that stands somewhere in one of the arrays; nil if there is none.
    private func pick(_ keys: [String]) -> Int64? {
        guard !keys.isEmpty, let values = integers[keys[Int(generator.uniform(below: UInt64(keys.count)))]]?.values,
            !values.isEmpty
        else { return nil }
        return values[Int(generator.uniform(below: UInt64(values.count)))]
    }
}

extension NamedArray {
    fileprivate func integers(_ rows: [Int]) throws(DataError) -> [Int64] {
        var values = [Int64](repeating: 0, count: rows.count * rowElementCount)
        let outcome = values.withUnsafeMutableBufferPointer { buffer in
            Result { () throws(DataError) in try gather(rows: rows, into: buffer) }
        }
        try outcome.get()
        return values
    }

    fileprivate func reals(_ rows: [Int]) -> [Float] {
        var values = [Float](repeating: 0, count: rows.count * rowElementCount)
        values.withUnsafeMutableBufferPointer { gather(rows: rows, into: $0) }
        return values
    }
}
