import ArgumentParser
import ConformanceTesting
import Foundation
import Kernels

/// Runs the tests that come with ONNX on this package's operators.
struct Conformance: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "onnx-conformance",
        abstract: "Runs ONNX's own tests and counts passed, failed and unsupported ones per operator.",
        discussion: """
            Example: onnx-conformance .venv/lib/python3.12/site-packages/onnx --expect Conformance/expected.txt

            Exit status: 0 done; 1 a test that must pass does not; 65 a bad list of expectations; 66 no tests.
            """)

    @Argument(help: "Folder of an installed onnx package, or one that holds test_* folders.")
    var folder: String

    @Option(name: .customLong("operator"), help: "Count tests of this operator only; repeat for more.")
    var operators: [String] = []

    @Option(help: "File that says which tests must pass; its comments say how.")
    var expect: String?

    @Flag(help: "Also print why each test failed or is unsupported.")
    var verbose = false

    func run() throws {
        let (tests, expectations) = try read()
        let pool = ThreadPool(threads: 1)
        let results = tests.map { $0.run(judgement: expectations?.judgement(of: $0.name) ?? .strict, pool: pool) }
        let report = ConformanceReport(results.filter { operators.isEmpty || operators.contains($0.subject) })
        if verbose { print((report.problems + [""]).joined(separator: "\n")) }
        print(report.table)
        guard let expectations else { return }
        let required = report.expected(by: expectations)
        print("\n\(required.results.count) of these tests must pass; \(required.problems.count) do not")
        guard required.problems.isEmpty else {
            print(required.problems.joined(separator: "\n"))
            throw ExitCode.failure
        }
    }

    private func read() throws -> (tests: [NodeTest], expectations: Expectations?) {
        let tests = try orExit(EX_NOINPUT) { () throws(ConformanceError) in try NodeTest.all(below: folder) }
        guard let expect else { return (tests, nil) }
        guard let text = try? String(contentsOfFile: expect, encoding: .utf8) else {
            throw orExit(EX_NOINPUT, "\(expect): cannot be read")
        }
        return (tests, try orExit(EX_DATAERR) { () throws(ConformanceError) in try Expectations(text) })
    }

    private func orExit<Value>(_ code: Int32, _ body: () throws(ConformanceError) -> Value) throws -> Value {
        do {
            return try body()
        } catch {
            throw orExit(code, "\(error)")
        }
    }

    private func orExit(_ code: Int32, _ message: String) -> ExitCode {
        FileHandle.standardError.write(Data("onnx-conformance: \(message)\n".utf8))
        return ExitCode(code)
    }
}

Conformance.main()
