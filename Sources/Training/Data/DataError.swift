/// Why a data set or an array file could not be read or written.
public struct DataError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What went wrong, coarse enough to choose an exit status from.
    public enum Kind: String, Sendable, Hashable {
        /// The file does not exist or may not be read (`EX_NOINPUT`).
        case missingInput
        /// The bytes contradict the format or each other (`EX_DATAERR`).
        case malformed
        /// A valid file that uses what this reader does not offer (`EX_DATAERR`).
        case unsupported
        /// A sound file that does not fit what is asked of it: a missing key, a wrong shape, a lossy conversion
        /// (`EX_DATAERR`).
        case mismatch
        /// The output cannot be created (`EX_CANTCREAT`).
        case cannotCreate
        /// The operating system failed while reading or writing (`EX_IOERR`).
        case inputOutput
    }

    /// Where it went wrong, as far as it is known.
    public struct Place: Sendable, Hashable {
        public var file: String?
        public var array: String?
        /// Line of a text file, counted from 1.
        public var line: Int?
        /// Column name of a text file.
        public var column: String?

        public init(file: String? = nil, array: String? = nil, line: Int? = nil, column: String? = nil) {
            self.file = file
            self.array = array
            self.line = line
            self.column = column
        }
    }

    public let kind: Kind
    public let message: String
    public let place: Place

    public init(_ kind: Kind, _ message: String, at place: Place = Place()) {
        self.kind = kind
        self.message = message
        self.place = place
    }

    /// One line: the place, then the message.
    public var description: String {
        var parts: [String] = []
        if let file = place.file { parts.append(printable(file, limit: 4096)) }
        if let array = place.array { parts.append("array \(quoted(array))") }
        switch (place.line, place.column) {
        case (let line?, let column?): parts.append("line \(line), column \(quoted(column))")
        case (let line?, nil): parts.append("line \(line)")
        case (nil, let column?): parts.append("column \(quoted(column))")
        case (nil, nil): break
        }
        parts.append(message)
        return parts.joined(separator: ": ")
    }
}

/// Text from a file, safe inside a one-line message: control characters are escaped and long text is cut.
func printable(_ text: String, limit: Int = 80) -> String {
    var result = ""
    var length = 0
    for scalar in text.unicodeScalars {
        if length == limit { return result + "..." }
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .format:
            result += "\\u{\(String(scalar.value, radix: 16))}"
        default: result.unicodeScalars.append(scalar)
        }
        length += 1
    }
    return result
}

/// `printable` between single quotes.
func quoted(_ text: String, limit: Int = 80) -> String { "'\(printable(text, limit: limit))'" }

/// The first few names of a list, quoted, for messages that say what there is.
func quotedList(_ names: [String], limit: Int = 20) -> String {
    let shown = names.prefix(limit).map { quoted($0) }.joined(separator: ", ")
    return names.count > limit ? "\(shown) and \(names.count - limit) more" : shown
}
