/// Reads the Python dictionary literal of an .npy header:
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
///
/// Only what NumPy writes there is a value: strings, True, False and tuples of non-negative integers.
struct NPYDictionaryParser {
    struct Dictionary {
        var descr: String
        var isFortranOrder: Bool
        var shape: [Int]
    }

    private let bytes: [UInt8]
    private let place: DataError.Place
    private var position = 0

    init(bytes: [UInt8], place: DataError.Place) {
        self.bytes = bytes
        self.place = place
    }

    mutating func parse() throws(DataError) -> Dictionary {
        var descr: String?
        var isFortranOrder: Bool?
        var shape: [Int]?
        try expect("{")
        while !take("}") {
            let key = try string()
            try expect(":")
            switch key {
            case "descr" where descr == nil: descr = try typeDescription()
            case "fortran_order" where isFortranOrder == nil: isFortranOrder = try boolean()
            case "shape" where shape == nil: shape = try tuple()
            default: throw failure("unexpected or repeated key \(quoted(key))")
            }
            if take(",") { continue }
            try expect("}")
            break
        }
        skipSpace()
        guard position == bytes.count else { throw failure("text follows the dictionary") }
        guard let descr, let isFortranOrder, let shape else {
            throw failure("one of 'descr', 'fortran_order' and 'shape' is missing")
        }
        return Dictionary(descr: descr, isFortranOrder: isFortranOrder, shape: shape)
    }

    private func failure(_ reason: String) -> DataError {
        DataError(.malformed, "has a bad .npy header: \(reason)", at: place)
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(DataError) {
        if !take(character) { throw failure("'\(character)' expected at byte \(position)") }
    }

    private mutating func string() throws(DataError) -> String {
        skipSpace()
        guard position < bytes.count, bytes[position] == 0x27 || bytes[position] == 0x22 else {
            throw failure("a string is expected at byte \(position)")
        }
        let quote = bytes[position]
        guard let end = bytes[(position + 1)...].firstIndex(of: quote) else { throw failure("a string has no end") }
        let content = bytes[position + 1..<end]
        guard !content.contains(0x5C), let text = String(validating: content, as: UTF8.self) else {
            throw failure("a string is not plain UTF-8")
        }
        position = end + 1
        return text
    }

    private mutating func typeDescription() throws(DataError) -> String {
        skipSpace()
        if position < bytes.count, bytes[position] == UInt8(ascii: "[") {
            throw DataError(.unsupported, "has a structured dtype; save each field as an array of its own", at: place)
        }
        return try string()
    }

    private mutating func boolean() throws(DataError) -> Bool {
        skipSpace()
        for (word, value) in [("True", true), ("False", false)]
        where bytes[position...].starts(with: word.utf8) {
            position += word.utf8.count
            return value
        }
        throw failure("'fortran_order' is neither True nor False")
    }

    private mutating func tuple() throws(DataError) -> [Int] {
        try expect("(")
        var values: [Int] = []
        while !take(")") {
            values.append(try integer())
            if take(",") { continue }
            guard values.count != 1 else { throw failure("'shape' is not a tuple") }
            try expect(")")
            break
        }
        return values
    }

    private mutating func integer() throws(DataError) -> Int {
        skipSpace()
        let start = position
        var value = 0
        while position < bytes.count, bytes[position] >= 0x30, bytes[position] <= 0x39 {
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let (next, carry) = shifted.addingReportingOverflow(Int(bytes[position] - 0x30))
            if overflow || carry { throw failure("a dimension overflows") }
            value = next
            position += 1
        }
        if start == position { throw failure("a dimension is not a non-negative integer") }
        // Python 2 wrote long integers with a suffix.
        if position < bytes.count, bytes[position] == UInt8(ascii: "L") { position += 1 }
        return value
    }
}
