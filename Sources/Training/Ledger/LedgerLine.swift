/// One record of a ledger: a line of text, `CHECKSUM kind key=value ...`.
///
/// The checksum is the CRC-32 of the line's rest, continued from the checksum of the line before, so that a line that was
/// changed, lost or moved shows. Values hold letters, digits and `.:/_-`; all else is written as `%` and two hexadecimal
/// digits per byte.
struct LedgerLine: Hashable {
    let kind: String
    let fields: [String: String]

    /// The line, newline included, and its checksum.
    static func text(_ kind: String, _ fields: [(key: String, value: String)], after checksum: UInt32) -> (
        bytes: [UInt8], checksum: UInt32
    ) {
        let rest = ([kind] + fields.map { $0.key + "=" + escaped($0.value) }).joined(separator: " ")
        let own = chained(Array(rest.utf8)[...], after: checksum)
        return (Array((hexadecimal(own) + " " + rest + "\n").utf8), own)
    }

    /// Reads a line without its newline; nil if it is damaged.
    init?(_ bytes: ArraySlice<UInt8>, after checksum: UInt32) {
        let prefix = 9
        guard bytes.count > prefix else { return nil }
        let rest = bytes.dropFirst(prefix)
        let expected = Self.hexadecimal(Self.chained(rest, after: checksum)) + " "
        guard bytes.prefix(prefix).elementsEqual(expected.utf8) else { return nil }
        let words = String(decoding: rest, as: UTF8.self).split(separator: " ")
        guard let kind = words.first else { return nil }
        var fields: [String: String] = [:]
        for word in words.dropFirst() {
            guard let cut = word.firstIndex(of: "="), let value = Self.unescaped(word[word.index(after: cut)...])
            else { return nil }
            fields[String(word[..<cut])] = value
        }
        self.kind = String(kind)
        self.fields = fields
    }

    /// The checksum of a line's kind and fields.
    static func chained(_ bytes: ArraySlice<UInt8>, after previous: UInt32) -> UInt32 {
        bytes.withUnsafeBytes { checksum($0, seed: previous) }
    }

    private static func hexadecimal(_ checksum: UInt32) -> String {
        let digits = String(checksum, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    private static func escaped(_ value: String) -> String {
        var result = ""
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "/"),
                UInt8(ascii: "_"), UInt8(ascii: "-"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += (byte < 16 ? "%0" : "%") + String(byte, radix: 16)
            }
        }
        return result
    }

    private static func unescaped(_ value: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = value.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let decoded = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(decoded)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
