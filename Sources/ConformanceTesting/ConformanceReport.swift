/// The outcomes of many tests, counted by operator.
public struct ConformanceReport: Sendable {
    public let results: [TestResult]

    public init(_ results: [TestResult]) { self.results = results }

    /// One line per operator and one of totals: tests that passed, failed, and are unsupported.
    public var table: String {
        let groups = Dictionary(grouping: results, by: \.subject).sorted { $0.key < $1.key }
        let lines = groups.map { Self.line($0.key, $0.value) }
        return ([Self.row("operator", "passed", "failed", "unsupported")] + lines + [Self.line("all", results)])
            .joined(separator: "\n")
    }

    /// One line for each test that did not pass: why.
    public var problems: [String] {
        results.compactMap { result in
            switch result.outcome {
            case .passed: nil
            case .failed(let why): "failed       \(result.test.name): \(why)"
            case .unsupported(let why): "unsupported  \(result.test.name): \(why)"
            }
        }
    }

    /// The part of the report on tests that must pass.
    public func expected(by expectations: Expectations) -> ConformanceReport {
        ConformanceReport(results.filter { expectations.expects($0.test.name, of: $0.subject) })
    }

    private static func line(_ subject: String, _ results: [TestResult]) -> String {
        var (passed, failed, unsupported) = (0, 0, 0)
        for result in results {
            switch result.outcome {
            case .passed: passed += 1
            case .failed: failed += 1
            case .unsupported: unsupported += 1
            }
        }
        return row(subject, "\(passed)", "\(failed)", "\(unsupported)")
    }

    private static func row(_ subject: String, _ counts: String...) -> String {
        func padded(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count))
        }
        return subject + padded(subject, 28) + counts.map { padded($0, 12) + $0 }.joined()
    }
}
