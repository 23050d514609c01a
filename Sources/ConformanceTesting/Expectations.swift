import Glibc

/// Which tests must pass: a text file of one entry per line.
///
///     Gemm                                     every test of a single operator must pass
///     test_softmax_*                           and every test of such a name (`*` and `?` stand for any text)
///     except test_cast_*FLOAT8*: why           but for these, which need not pass
///     shapes test_bernoulli*: why              of these only types and shapes are compared
///     within 1e-6 test_dft_inverse*: why       and of these elements, if they differ by more
///
/// Empty lines and what follows `#` do not count.
public struct Expectations: Sendable {
    private var operators: Set<String> = []
    private var patterns: [String] = []
    private var exceptions: [String] = []
    private var judgements: [(pattern: String, judgement: Judgement)] = []

    /// - Throws: `ConformanceError` naming a line that is none of the above.
    public init(_ text: String) throws(ConformanceError) {
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let entry = Self.trimmed(line.prefix { $0 != "#" })
            if entry.isEmpty { continue }
            if entry.hasPrefix("except ") {
                exceptions.append(try Self.pattern(of: entry.dropFirst("except ".count), number))
            } else if entry.hasPrefix("shapes ") {
                judgements.append((try Self.pattern(of: entry.dropFirst("shapes ".count), number), .shapes))
            } else if entry.hasPrefix("within ") {
                let words = entry.split(separator: " ", maxSplits: 2)
                guard words.count == 3, let absolute = Double(words[1]), absolute > 0, absolute.isFinite else {
                    throw ConformanceError("line \(number + 1): a tolerance is written 'within 1e-6 PATTERN: why'")
                }
                judgements.append((try Self.pattern(of: words[2], number), .elements(absolute: absolute)))
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

    /// The pattern in front of a reason.
    private static func pattern(of text: Substring, _ number: Int) throws(ConformanceError) -> String {
        let parts = text.split(separator: ":", maxSplits: 1).map(Self.trimmed)
        guard parts.count == 2, !parts[1].isEmpty else {
            throw ConformanceError("line \(number + 1): an exception needs a reason: 'except PATTERN: why'")
        }
        return parts[0]
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

    /// How a test of this name is judged.
    public func judgement(of test: String) -> Judgement {
        judgements.first { fnmatch($0.pattern, test, 0) == 0 }?.judgement ?? .strict
    }
}
