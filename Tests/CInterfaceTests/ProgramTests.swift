import CDponnx
import CInterface
import CInterfaceProgram
import DPONNX
import Foundation
import Testing

/// A program in C against the library's header.
@Suite struct ProgramTests {
    private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    private static let fixtures = tests.appendingPathComponent("DPONNXTests/Fixtures/mlp").path
    private static let mixing = tests.appendingPathComponent("CommandLineTests/Fixtures/mixing.onnx").path

    private func floats(_ file: ArrayFile, _ key: String) throws -> [Float] {
        let array = try file.array(key)
        var values = [Float](repeating: 0, count: array.elementCount)
        values.withUnsafeMutableBufferPointer { array.gather(rows: Array(0..<array.rowCount), into: $0) }
        return values
    }

    /// Lends the samples to the program, and reports where it stopped.
    private func run(_ body: (UnsafePointer<program_data>, UnsafeMutablePointer<CChar>) -> Int32) throws {
        let file = try ArrayFile(path: Self.fixtures + ".data.npz")
        let x = try floats(file, "x")
        let labels = try floats(file, "labels").map { Int64($0) }
        (Self.fixtures + ".onnx").withCString { model in
            x.withUnsafeBufferPointer { x in
                labels.withUnsafeBufferPointer { labels in
                    var data = program_data(
                        model: model, samples: Int64(labels.count), features: Int64(x.count / labels.count),
                        x: x.baseAddress, labels: labels.baseAddress)
                    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { failure in
                        failure.initialize(repeating: 0)
                        let line = body(&data, failure.baseAddress!)
                        #expect(line == 0, "line \(line): \(String(cString: failure.baseAddress!))")
                    }
                }
            }
        }
    }

    @Test func errorsComeByCodeAndMessage() throws {
        try run { program_errors($0, Self.mixing, $1) }
    }

    /// Without noise, a step of SGD on all samples moves a weight by the rate times the mean of clipped gradients, which
    /// PyTorch computed one sample at a time.
    @Test(arguments: ["0.weight", "2.bias", "4.weight"]) func aStepMovesTheWeightsAsInPyTorch(name: String) throws {
        let oracle = try ArrayFile(path: Self.fixtures + ".oracle.npz")
        let sum = try floats(oracle, "sum/" + name)
        let options = """
            {"noise_multiplier": 0, "delta": 1e-5, "rows": 5, "sampler": "full", "steps": 1, "learning_rate": 0.5, \
            "clip_norm": \(try floats(oracle, "clip_norm")[0])}
            """
        var (before, after) = ([Float](repeating: 0, count: sum.count), [Float](repeating: 0, count: sum.count))
        try run { program_single_step($0, options, name, &before, &after, sum.count, $1) }
        for index in sum.indices {
            #expect(abs(after[index] - (before[index] - 0.5 * sum[index] / 5)) < 1e-5)
        }
        #expect(before != after)
    }

    /// The same step under another program's names and layouts.
    @Test func theStateHasTheReferencesLayout() throws {
        let graph = try LoadedModel(path: Self.fixtures + ".onnx").graph
        let first = try #require(graph.initializers.first { $0.name == "0.weight" })
        let names =
            ["0.weight", "0.bias"] + graph.initializers.map(\.name).filter { !["0.weight", "0.bias"].contains($0) }
        let oracle = try ArrayFile(path: Self.fixtures + ".oracle.npz")
        let options = """
            {"noise_multiplier": 0, "delta": 1e-5, "rows": 5, "sampler": "full", "steps": 1, "learning_rate": 0.5, \
            "clip_norm": \(try floats(oracle, "clip_norm")[0])}
            """
        let (outputs, inputs) = (first.shape[0], first.shape[1])
        var weight = [Float](repeating: 0, count: outputs * inputs)
        var bias = [Float](repeating: 0, count: outputs)
        let arena = Arena()
        var tensors = try names.map { name in
            let tensor = try #require(graph.initializers.first { $0.name == name })
            let shape = Array(tensor.shape.reversed())
            // Strides of the transposed matrix; a vector has none.
            let strides = shape.count == 2 ? [1, shape[0]] : nil
            return dponnx_tensor(
                name: arena.text("program." + name), type: Int32(DPONNX_FLOAT32.rawValue), rank: Int32(shape.count),
                shape: arena.copy(shape.map(Int64.init)), strides: strides.map { arena.copy($0.map(Int64.init)) },
                data: UnsafeRawPointer(arena.copy(try tensor.load().floatValues)))
        }
        try run { program_state($0, options, &tensors, tensors.count, &weight, &bias, $1) }

        let (before, sum) = (try first.load().floatValues, try floats(oracle, "sum/0.weight"))
        for row in 0..<outputs {
            for column in 0..<inputs {
                let index = row * inputs + column
                #expect(abs(weight[column * outputs + row] - (before[index] - 0.5 * sum[index] / 5)) < 1e-5)
            }
        }
        let biasBefore = try #require(graph.initializers.first { $0.name == "0.bias" }).load().floatValues
        for (index, value) in try floats(oracle, "sum/0.bias").enumerated() {
            #expect(abs(bias[index] - (biasBefore[index] - 0.5 * value / 5)) < 1e-5)
        }
    }

    @Test func theSavedModelStatesWhatItsStepsCost() throws {
        let output = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).onnx").path
        defer { try? FileManager.default.removeItem(atPath: output) }
        try run { program_training($0, output, $1) }
        let statement = try #require(try LoadedModel(path: output).privacyStatement())
        #expect(statement.isPrivate && statement.mechanism.steps == 6 && statement.mechanism.datasetSize == 5)
        #expect(statement.recomputedBound == statement.bound)
    }

    @Test func sessionsAndThreadsDoNotDisturbEachOther() throws {
        try run { program_threads($0, $1) }
    }
}

/// Memory for what C is lent.
private final class Arena {
    private var blocks: [UnsafeMutableRawPointer] = []

    func copy<Element: BitwiseCopyable>(_ values: [Element]) -> UnsafePointer<Element> {
        let block = UnsafeMutablePointer<Element>.allocate(capacity: values.count)
        block.initialize(from: values, count: values.count)
        blocks.append(UnsafeMutableRawPointer(block))
        return UnsafePointer(block)
    }

    func text(_ text: String) -> UnsafePointer<CChar> { copy(text.utf8CString.map { $0 }) }

    deinit { for block in blocks { block.deallocate() } }
}
