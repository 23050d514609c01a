import Glibc

/// Which tests must pass: a text file of one entry per line.
///
///     Gemm                                     every test of a single operator must pass
///     test_softmax_*                           and every test of such a name (`*` and `?` stand for any text)
///     except test_cast_*FLOAT8*: why           but for these, which need not pass
///
/// Empty lines and what follows `#` do not count.
public struct Expectations: Hashable, Sendable {
    private var operators: Set<String> = []
    private var patterns: [String] = []
    private var exceptions: [String] = []

    /// - Throws: `ConformanceError` naming a line that is none of the above.
    public init(_ text: String) throws(ConformanceError) {
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let entry = Self.trimmed(line.prefix { $0 != "#" })
            if entry.isEmpty { continue }
            if entry.hasPrefix("except ") {
                let parts = entry.dropFirst("except ".count).split(separator: ":", maxSplits: 1).map(Self.trimmed)
                guard parts.count == 2, !parts[1].isEmpty else {
                    throw ConformanceError("line \(number + 1): an exception needs a reason: 'except PATTERN: why'")
                }
                exceptions.append(parts[0])
            } else if entry.contains(" ") {
                throw ConformanceError(
                    "line \(number + 1): '\(entry)' is neither an operator, a test, nor an exception")
            } else if entry.hasPrefix("test_") {
                patterns.append(entry)
            } else {
                operators.insert(entry)
            }
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        return String(text.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }

    /// Whether a test of this name and operator must pass.
    public func expects(_ test: String, of subject: String) -> Bool {
        guard operators.contains(subject) || patterns.contains(where: { fnmatch($0, test, 0) == 0 }) else {
            return false
        }
        return !exceptions.contains { fnmatch($0, test, 0) == 0 }
    }
}
