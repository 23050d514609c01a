/// Walks over JSON text (RFC 8259) without building a tree: the reader takes what it knows and skips the rest.
///
/// Values may nest `deepestNesting` levels; more is an error, not a stack overflow.
struct JSONCursor {
    private let bytes: UnsafeRawBufferPointer
    private let place: DataError.Place
    private var position = 0
    private static let deepestNesting = 32

    /// `bytes` must outlive the cursor.
    init(_ bytes: UnsafeRawBufferPointer, place: DataError.Place) {
        self.bytes = bytes
        self.place = place
    }

    func failure(_ reason: String) -> DataError {
        DataError(.malformed, "has a bad JSON header: \(reason) at byte \(position)", at: place)
    }

    mutating func peek() -> UInt8? {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
        return position < bytes.count ? bytes[position] : nil
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek() == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func expect(_ character: Unicode.Scalar) throws(DataError) {
        if !take(character) { throw failure("'\(character)' expected") }
    }

    mutating func expectEnd() throws(DataError) {
        if peek() != nil { throw failure("text after the value") }
    }

    /// Reads an object, calling `member` with each key; `member` must read or skip the value. Repeated keys are an
    /// error, since readers disagree about which one counts.
    mutating func object(_ member: (inout JSONCursor, String) throws(DataError) -> Void) throws(DataError) {
        try expect("{")
        var seen: Set<String> = []
        if take("}") { return }
        repeat {
            let key = try string()
            guard seen.insert(key).inserted else { throw failure("repeated key \(quoted(key))") }
            try expect(":")
            try member(&self, key)
        } while take(",")
        try expect("}")
    }

    mutating func array(_ element: (inout JSONCursor) throws(DataError) -> Void) throws(DataError) {
        try expect("[")
        if take("]") { return }
        repeat { try element(&self) } while take(",")
        try expect("]")
    }

    /// A non-negative integer without fraction or exponent.
    mutating func unsigned() throws(DataError) -> Int {
        guard let first = peek(), isDigit(first) else { throw failure("a non-negative integer is expected") }
        let start = position
        var value = 0
        while position < bytes.count, isDigit(bytes[position]) {
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let (next, carry) = shifted.addingReportingOverflow(Int(bytes[position] - 0x30))
            if overflow || carry { throw failure("an integer overflows") }
            value = next
            position += 1
        }
        if first == 0x30 && position - start > 1 { throw failure("an integer starts with 0") }
        if position < bytes.count, [0x2E, 0x65, 0x45].contains(bytes[position]) {
            throw failure("an integer is expected")
        }
        return value
    }

    mutating func string() throws(DataError) -> String {
        try expect("\"")
        var content: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case 0x22:
                guard let text = String(validating: content, as: UTF8.self) else { throw failure("bad UTF-8") }
                return text
            case 0x5C: content.append(contentsOf: String(Character(try escape())).utf8)
            case 0..<0x20: throw failure("a control character inside a string")
            default: content.append(byte)
            }
        }
        throw failure("a string has no end")
    }

    private mutating func escape() throws(DataError) -> Unicode.Scalar {
        guard position < bytes.count else { throw failure("a string has no end") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if code & 0xFC00 == 0xD800 {
                guard position + 1 < bytes.count, bytes[position] == 0x5C, bytes[position + 1] == UInt8(ascii: "u")
                else { throw failure("half a surrogate pair") }
                position += 2
                let low = try hexadecimal()
                guard low & 0xFC00 == 0xDC00 else { throw failure("half a surrogate pair") }
                code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("half a surrogate pair") }
            return scalar
        default: throw failure("an unknown escape")
        }
    }

    private mutating func hexadecimal() throws(DataError) -> UInt32 {
        guard position + 4 <= bytes.count,
            let digits = String(validating: bytes[position..<position + 4], as: UTF8.self),
            digits.allSatisfy(\.isHexDigit), let value = UInt32(digits, radix: 16)
        else { throw failure("four hexadecimal digits are expected") }
        position += 4
        return value
    }

    /// Steps over any value.
    mutating func skip(depth: Int = 0) throws(DataError) {
        guard depth < Self.deepestNesting else { throw failure("values nest too deeply") }
        switch peek() {
        case UInt8(ascii: "{"):
            try object { (cursor, _) throws(DataError) in try cursor.skip(depth: depth + 1) }
        case UInt8(ascii: "["):
            try array { (cursor) throws(DataError) in try cursor.skip(depth: depth + 1) }
        case UInt8(ascii: "\""): _ = try string()
        default: try skipWord()
        }
    }

    private mutating func skipWord() throws(DataError) {
        let start = position
        while position < bytes.count,
            isDigit(bytes[position]) || isLetter(bytes[position])
                || [0x2B, 0x2D, 0x2E].contains(bytes[position])
        { position += 1 }
        let word = String(decoding: bytes[start..<position], as: UTF8.self)
        let isNumber = word.first.map { $0 == "-" || $0.isNumber } == true && Double(word)?.isFinite == true
        guard isNumber || ["true", "false", "null"].contains(word) else { throw failure("a value is expected") }
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
    private func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A }
}
