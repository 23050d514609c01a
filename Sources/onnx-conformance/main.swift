import ArgumentParser
import ConformanceTesting
import Foundation
import Kernels

/// Runs ONNX's own node tests against this package's operators.
struct Conformance: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "onnx-conformance",
        abstract: "Runs ONNX's node tests and prints passed, failed and unsupported per operator.",
        discussion: """
            Example: onnx-conformance .../site-packages/onnx --operator Gemm --expect Tests/ConformanceTests/expected.txt
            """)

    @Argument(help: "Folder of an installed onnx package, or of test_* folders.")
    var folder: String

    @Option(name: .customLong("operator"), help: "Only tests of this operator; repeat for more.")
    var operators: [String] = []

    @Option(help: "File that names one test per line: exit with 1 if one of them is there and does not pass.")
    var expect: String?

    @Flag(help: "Print why each test failed or is unsupported.")
    var verbose = false

    @Flag(help: "Print the names of the tests that passed, and nothing else.")
    var names = false

    func run() throws {
        let tests: [NodeTest]
        do {
            tests = try NodeTest.all(below: folder)
        } catch {
            FileHandle.standardError.write(Data("onnx-conformance: \(error)\n".utf8))
            throw ExitCode(66)
        }
        let pool = ThreadPool(threads: 1)
        let results = tests.map { $0.run(pool: pool) }
        let report = ConformanceReport(results.filter { operators.isEmpty || operators.contains($0.subject) })
        if names {
            print(report.passed.joined(separator: "\n"))
            return
        }
        if verbose { print(report.problems.joined(separator: "\n") + "\n") }
        print(report.table)
        guard let expect else { return }
        let listed = try String(contentsOfFile: expect, encoding: .utf8).split(separator: "\n").map(String.init)
        let lost = report.lost(expecting: listed)
        for line in lost { print("expected to pass: \(line)") }
        if !lost.isEmpty { throw ExitCode.failure }
    }
}

Conformance.main()
