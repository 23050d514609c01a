import ConformanceTesting
import Foundation
import Kernels
import Operators
import Testing

/// The committed node tests (`make_node_tests.py`): values are onnxruntime's, or ONNX's own where that has none.
@Suite struct NodeTestsTests {
    static let folder = Bundle.module.resourceURL!.appendingPathComponent("NodeTests").path
    static let tests = (try? NodeTest.all(below: folder)) ?? []

    @Test func areFound() { #expect(Self.tests.count == 63) }

    @Test(arguments: tests, [1, 3])
    func pass(_ test: NodeTest, threads: Int) {
        #expect(test.run(pool: ThreadPool(threads: threads)).outcome == .passed)
    }

    // MARK: The runner itself

    /// Runs a copy of a test after `change` to its folder.
    private func outcome(
        of name: String, registry: OperatorRegistry = .standard, judgement: Judgement = .strict,
        after change: (String) throws -> Void
    ) throws -> TestOutcome {
        let copy = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        try FileManager.default.copyItem(atPath: "\(Self.folder)/\(name)", toPath: copy)
        defer { try? FileManager.default.removeItem(atPath: copy) }
        try change(copy)
        return NodeTest(folder: copy).run(
            registry: registry, judgement: judgement, pool: ThreadPool(threads: 1)
        ).outcome
    }

    private func write(_ bytes: [UInt8], _ path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    private func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

    /// The last byte of the file is the highest of the last element.
    @Test(arguments: [("test_functions", 10, 0x40), ("test_integers", 8, 0x40), ("test_truth", 0, 1)])
    func aWrongElementFails(_ name: String, output: Int, bit: UInt8) throws {
        let outcome = try outcome(of: name) { folder in
            let path = "\(folder)/test_data_set_0/output_\(output).pb"
            var tensor = try bytes(path)
            tensor[tensor.count - 1] ^= bit
            try write(tensor, path)
        }
        guard case .failed(let why) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(why.contains("differs in"))
    }

    /// Where elements are random, or within an absolute tolerance, a changed one passes.
    @Test func judgements() throws {
        func changeElement(_ folder: String) throws {
            let path = "\(folder)/test_data_set_0/output_0.pb"
            var tensor = try bytes(path)
            tensor[tensor.count - 2] ^= 0x40
            try write(tensor, path)
        }
        #expect(try outcome(of: "test_gelu", after: changeElement) != .passed)
        #expect(try outcome(of: "test_gelu", judgement: .shapes, after: changeElement) == .passed)
        #expect(try outcome(of: "test_gelu", judgement: .elements(absolute: 1e9), after: changeElement) == .passed)
        #expect(try outcome(of: "test_gelu", judgement: .elements(absolute: 1e-6), after: changeElement) != .passed)
    }

    @Test func aWrongShapeOrTypeFails() throws {
        // y of the table test is [2, 2, 3] float32: dims 1, 1, 2 of float32; then dims 1 of int64.
        for (tensor, mention) in [
            ([8, 1, 8, 1, 8, 2, 16, 1, 0x4A, 8] + Array(repeating: 0, count: 8), "shape"),
            ([8, 1, 16, 7, 0x4A, 8] + Array(repeating: 0, count: 8), "int64"),
        ] as [([UInt8], String)] {
            let outcome = try outcome(of: "test_table_of_tokens", judgement: .shapes) {
                try write(tensor, "\($0)/test_data_set_0/output_0.pb")
            }
            guard case .failed(let why) = outcome else {
                Issue.record("\(outcome)")
                continue
            }
            #expect(why.contains(mention), "\(why)")
        }
    }

    @Test func damagedFilesFail() throws {
        let changes: [(String) throws -> Void] = [
            { try write([1, 2, 3], "\($0)/model.onnx") },
            { try write([0xFF], "\($0)/test_data_set_0/input_0.pb") },
            { try FileManager.default.removeItem(atPath: "\($0)/test_data_set_0/input_0.pb") },
            { try FileManager.default.removeItem(atPath: "\($0)/test_data_set_0/output_0.pb") },
            { try FileManager.default.removeItem(atPath: "\($0)/test_data_set_0") },
        ]
        for change in changes {
            guard case .failed(let why) = try outcome(of: "test_gelu", after: change) else {
                Issue.record("a damaged test does not fail")
                continue
            }
            #expect(!why.isEmpty && !why.contains("\n"))
        }
    }

    @Test func anUnknownOperatorIsUnsupported() throws {
        guard case .unsupported(let why) = try outcome(of: "test_gelu", registry: OperatorRegistry(), after: { _ in })
        else {
            Issue.record("without operators nothing can run")
            return
        }
        #expect(why.contains("Gelu"))
    }

    @Test func aFolderWithoutTestsIsRefused() {
        #expect(throws: ConformanceError.self) { try NodeTest.all(below: "/nonexistent") }
    }
}
