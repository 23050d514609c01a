/// A CSV file of numbers under one row of column names.
///
/// Every field is a finite number. Empty fields, `nan` and `inf` are errors that name line and column: in text they
/// nearly always mean a missing value, which has to be filled or its row removed by somebody who knows the data.
/// A column whose fields are all written as integers is stored as int64, any other as float64.
struct CSVTable {
    struct Column {
        var name: String
        var values: Values
    }

    enum Values {
        case integers([Int64])
        case reals([Double])
    }

    let file: String
    private(set) var columns: [Column]
    private(set) var rowCount = 0
    /// Fields of the column of text as they are written, without spaces around them.
    private(set) var texts: [String: [String]] = [:]

    /// - Parameter textColumn: a column that is kept as text and is no array.
    init(_ region: ByteRegion, file: String, textColumn: String? = nil) throws(DataError) {
        self.file = file
        let bytes = region.bytes(0, region.count)
        var scanner = CSVScanner(bytes, file: file)
        columns = try Self.header(&scanner, file: file).map { Column(name: $0, values: .integers([])) }
        let textIndex = columns.firstIndex { $0.name == textColumn }
        while scanner.skipsToRecord() {
            try readRecord(&scanner, textIndex)
            rowCount += 1
        }
        if let textIndex { columns.remove(at: textIndex) }
    }

    private static func header(_ scanner: inout CSVScanner, file: String) throws(DataError) -> [String] {
        var names: [String] = []
        var isLast = false
        while !isLast {
            let (field, endsRecord) = try scanner.next()
            isLast = endsRecord
            let place = DataError.Place(file: file, line: 1)
            guard let text = scanner.text(field) else {
                throw DataError(.malformed, "column \(names.count + 1) has a name that is not UTF-8", at: place)
            }
            let name = text.trimmingSpaces()
            if name.isEmpty {
                throw DataError(.malformed, "column \(names.count + 1) has no name", at: place)
            }
            names.append(name)
        }
        let place = DataError.Place(file: file, line: 1)
        if names.allSatisfy({ Double($0) != nil }) {
            throw DataError(.malformed, "the first row holds numbers; it must hold the column names", at: place)
        }
        if names.count == 1, names[0].contains(where: { $0 == ";" || $0 == "\t" }) {
            throw DataError(.malformed, "columns must be separated by commas", at: place)
        }
        var seen: Set<String> = []
        for name in names where !seen.insert(name).inserted {
            throw DataError(.malformed, "two columns are called \(quoted(name))", at: place)
        }
        return names
    }

    private mutating func readRecord(_ scanner: inout CSVScanner, _ textIndex: Int?) throws(DataError) {
        let line = scanner.line
        var index = 0
        var isLast = false
        while !isLast {
            let fieldLine = scanner.line
            let (field, endsRecord) = try scanner.next()
            isLast = endsRecord
            guard index < columns.count else {
                throw DataError(
                    .malformed, "has more fields than the \(columns.count) columns of the first line",
                    at: DataError.Place(file: file, line: line))
            }
            let place = DataError.Place(file: file, line: fieldLine, column: columns[index].name)
            let number = index == textIndex ? .invalid : scanner.withBytes(field) { Number($0) }
            switch number {
            case .integer(let value): columns[index].values.append(value)
            case .real(let value): columns[index].values.append(value)
            case .invalid:
                let text = (scanner.text(field) ?? "not UTF-8").trimmingSpaces()
                if text.isEmpty {
                    throw DataError(.malformed, "is empty; fill missing values or remove the row", at: place)
                }
                if index == textIndex {
                    texts[columns[index].name, default: []].append(text)
                    break
                }
                throw DataError(.malformed, "\(quoted(text, limit: 40)) is not a finite number", at: place)
            }
            index += 1
        }
        guard index == columns.count else {
            throw DataError(
                .malformed, "has \(index) fields where the first line names \(columns.count) columns",
                at: DataError.Place(file: file, line: line))
        }
    }

    /// Columns side by side as [N, k], or one column as [N]; int64 if all of them are.
    func array(name: String, columns indices: [Int], asVector: Bool) throws(DataError) -> NamedArray {
        precondition(!asVector || indices.count == 1)
        let chosen = indices.map { columns[$0].values }
        let isInteger = chosen.allSatisfy { if case .integers = $0 { true } else { false } }
        let width = indices.count
        let place = DataError.Place(file: file, array: name)
        let storage = try ByteRegion.heap(count: rowCount * width * 8, place: place) { target in
            for (column, values) in chosen.enumerated() {
                switch values {
                case .integers(let values) where isInteger:
                    let words = target.bindMemory(to: Int64.self)
                    for row in 0..<rowCount { words[row * width + column] = values[row] }
                case .integers(let values):
                    let words = target.bindMemory(to: Double.self)
                    for row in 0..<rowCount { words[row * width + column] = Double(values[row]) }
                case .reals(let values):
                    let words = target.bindMemory(to: Double.self)
                    for row in 0..<rowCount { words[row * width + column] = values[row] }
                }
            }
        }
        return NamedArray(
            name: name, type: isInteger ? .int64 : .float64, shape: asVector ? [rowCount] : [rowCount, width],
            file: file, storage: storage, offset: 0)
    }
}

extension CSVTable.Values {
    fileprivate mutating func append(_ value: Int64) {
        switch self {
        case .integers(var values):
            self = .integers([])
            values.append(value)
            self = .integers(values)
        case .reals(var values):
            self = .reals([])
            values.append(Double(value))
            self = .reals(values)
        }
    }

    /// Appends a number that is not an integer; the column becomes real from here on.
    fileprivate mutating func append(_ value: Double) {
        switch self {
        case .integers(let values): self = .reals(values.map(Double.init) + [value])
        case .reals(var values):
            self = .reals([])
            values.append(value)
            self = .reals(values)
        }
    }
}

extension CSVTable {
    /// A decimal number: optional sign, digits, fraction and exponent; spaces around it are ignored.
    enum Number {
        case integer(Int64)
        case real(Double)
        case invalid

        init(_ field: UnsafeRawBufferPointer) {
            var start = 0
            var end = field.count
            while start < end, field[start] == 0x20 || field[start] == 0x09 { start += 1 }
            while end > start, field[end - 1] == 0x20 || field[end - 1] == 0x09 { end -= 1 }
            var digits = start
            var isNegative = false
            if digits < end, field[digits] == 0x2D || field[digits] == 0x2B {
                isNegative = field[digits] == 0x2D
                digits += 1
            }
            var value: Int64 = 0
            var position = digits
            while position < end, field[position] >= 0x30, field[position] <= 0x39, position - digits < 18 {
                value = value * 10 + Int64(field[position] - 0x30)
                position += 1
            }
            if position == end && position > digits {
                self = .integer(isNegative ? -value : value)
                return
            }
            // Only decimal notation goes on to the library's parser, which would take "0x1p3", "nan" and "inf" too.
            guard digits < end, end - start <= 1024,
                field[digits..<end].allSatisfy({
                    (0x2B...0x39).contains($0) && $0 != 0x2F && $0 != 0x2C || $0 | 0x20 == 0x65
                })
            else {
                self = .invalid
                return
            }
            let text = String(decoding: field[start..<end], as: UTF8.self)
            if let exact = Int64(text) {
                self = .integer(exact)
            } else if let value = Double(text), value.isFinite {
                self = .real(value)
            } else {
                self = .invalid
            }
        }
    }
}

extension String {
    fileprivate func trimmingSpaces() -> String {
        let kept = drop { $0 == " " || $0 == "\t" }
        return String(
            kept[..<(kept.lastIndex { $0 != " " && $0 != "\t" }.map { kept.index(after: $0) } ?? kept.startIndex)])
    }
}
