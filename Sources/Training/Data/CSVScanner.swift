/// Splits CSV text (RFC 4180) into fields: commas, optional double quotes with `""` for a quote, LF or CRLF line ends.
struct CSVScanner {
    private let bytes: UnsafeRawBufferPointer
    private let file: String
    private var position = 0
    /// The physical line of the next field, counted from 1; quoted fields may span lines.
    private(set) var line = 1

    /// `bytes` must outlive the scanner. A byte-order mark is skipped.
    init(_ bytes: UnsafeRawBufferPointer, file: String) {
        self.bytes = bytes
        self.file = file
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    }

    /// A field's bytes: a range of the file, or unescaped text if it was quoted.
    enum Field {
        case plain(Range<Int>)
        case quoted([UInt8])
    }

    var isAtEnd: Bool { position == bytes.count }

    /// Whether another record follows; line ends at the end of the file are skipped.
    mutating func skipsToRecord() -> Bool {
        let rest = bytes[position...]
        if rest.allSatisfy({ $0 == 0x0A || $0 == 0x0D }) { position = bytes.count }
        return !isAtEnd
    }

    /// The next field and whether it is the last one of its record.
    mutating func next() throws(DataError) -> (field: Field, endsRecord: Bool) {
        if position < bytes.count, bytes[position] == 0x22 {
            let text = try quotedText()
            return (.quoted(text), try separator())
        }
        let start = position
        while position < bytes.count, bytes[position] != 0x2C, bytes[position] != 0x0A, bytes[position] != 0x0D {
            if bytes[position] == 0x22 {
                throw failure("a quote inside an unquoted field")
            }
            position += 1
        }
        let range = start..<position
        return (.plain(range), try separator())
    }

    func text(_ field: Field) -> String? {
        switch field {
        case .plain(let range): String(validating: bytes[range], as: UTF8.self)
        case .quoted(let text): String(validating: text, as: UTF8.self)
        }
    }

    func withBytes<Result>(_ field: Field, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        switch field {
        case .plain(let range): body(UnsafeRawBufferPointer(rebasing: bytes[range]))
        case .quoted(let text): text.withUnsafeBytes(body)
        }
    }

    private func failure(_ reason: String, line: Int? = nil) -> DataError {
        DataError(.malformed, reason, at: DataError.Place(file: file, line: line ?? self.line))
    }

    private mutating func quotedText() throws(DataError) -> [UInt8] {
        let first = line
        var text: [UInt8] = []
        position += 1
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if byte == 0x22 {
                guard position < bytes.count, bytes[position] == 0x22 else { return text }
                position += 1
            } else if byte == 0x0A {
                line += 1
            }
            text.append(byte)
        }
        throw failure("a quoted field is never closed", line: first)
    }

    private mutating func separator() throws(DataError) -> Bool {
        guard position < bytes.count else { return true }
        switch bytes[position] {
        case 0x2C:
            position += 1
            return false
        case 0x0D where position + 1 < bytes.count && bytes[position + 1] == 0x0A: position += 2
        case 0x0D where position + 1 == bytes.count: position += 1
        case 0x0A: position += 1
        case 0x0D: throw failure("a carriage return without a line feed")
        default: throw failure("text after a closing quote")
        }
        line += 1
        return true
    }
}
