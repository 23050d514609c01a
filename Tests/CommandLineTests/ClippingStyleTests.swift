import DPONNX
import Foundation
import Testing

/// Clipping styles on the command line.
@Suite struct ClippingStyleTests {
    private let folder: TemporaryFolder
    private let output: String
    private let arguments: [String]

    init() throws {
        folder = try TemporaryFolder()
        output = folder.file("gradients.npz")
        arguments = ["gradients", Samples.model("mlp"), "--data", Samples.data("mlp"), "--output", output]
    }

    private func array(_ key: String) throws -> (shape: [Int], values: [Float]) {
        let array = try ArrayFile(path: output).array(key)
        var values = [Float](repeating: 0, count: array.shape.reduce(1, *))
        values.withUnsafeMutableBufferPointer { array.gather(rows: Array(0..<array.shape[0]), into: $0) }
        return (array.shape, values)
    }

    /// Groups of one parameter each with equal norms are the parameter-wise style; one group of all is the flat one.
    @Test func groupsAgreeWithTheOtherStyles() throws {
        let names = try ArrayFile(path: Self.run(arguments, to: output)).keys.filter { $0.hasPrefix("grad/") }
            .map { String($0.dropFirst(5)) }
        let flat = try array("factors").values
        _ = try Self.run(arguments + ["--clipping-style", "grouped", "--clip-group", "*=1"], to: output)
        #expect(try array("factors").shape == [5, 1] && array("factors").values == flat)

        _ = try Self.run(arguments + ["--clipping-style", "parameter-wise", "--clip-norm", "0.2"], to: output)
        let expected = try (array("factors"), names.map { try array("grad/\($0)").values })
        #expect(expected.0.shape == [5, names.count])
        let each = 0.2 / Double(names.count).squareRoot()
        _ = try Self.run(
            arguments + ["--clipping-style", "grouped"] + names.flatMap { ["--clip-group", "\($0)=\(each)"] },
            to: output)
        #expect(largestDifference(try array("factors").values, expected.0.values) < 1e-6)
        for (name, sum) in zip(names, expected.1) {
            #expect(largestDifference(try array("grad/\(name)").values, sum) < 1e-6)
        }
    }

    private static func run(_ arguments: [String], to output: String) throws -> String {
        let run = try CommandRun(arguments)
        #expect(run.status == 0, "\(run.errors)")
        return output
    }

    private func largestDifference(_ left: [Float], _ right: [Float]) -> Float {
        left.count == right.count ? zip(left, right).map { abs($0 - $1) }.max() ?? 0 : .infinity
    }

    @Test(arguments: ["bk", "bk-ghost", "ghost", "instantiate"], ["flat", "layer-wise", "parameter-wise"])
    func samplesThatAreNotFiniteAreTold(mode: String, style: String) throws {
        let data = folder.file("nan.npz")
        let file = try ArrayFile(path: Samples.data("mlp"))
        var (x, labels) = ([Float](repeating: 0, count: 30), [Int64](repeating: 0, count: 5))
        try x.withUnsafeMutableBufferPointer { try file.array("x").gather(rows: Array(0..<5), into: $0) }
        try labels.withUnsafeMutableBufferPointer { try file.array("labels").gather(rows: Array(0..<5), into: $0) }
        x[8] = .nan
        var writer = try ArrayFileWriter(
            path: data,
            arrays: [
                .init(name: "x", type: .float32, shape: [5, 6]), .init(name: "labels", type: .int64, shape: [5]),
                .init(name: "user", type: .int64, shape: [5]),
            ])
        try writer.append(x)
        try writer.append(labels)
        try writer.append([0, 1, 2, 1, 3] as [Int64])
        try writer.finish()
        for (options, count) in [([], 5), (["--group-by", "user"], 4)] {
            let run = try CommandRun(
                [
                    "gradients", Samples.model("mlp"), "--data", data, "--clipping-mode", mode, "--clipping-style",
                    style,
                    "--output", output,
                ] + options)
            #expect(run.errors.contains("1 of \(count) samples are left out"), "\(run.errors)")
            let (shape, factors) = try array("factors")
            let width = shape.count > 1 ? shape[1] : 1
            #expect(factors.indices.allSatisfy { (factors[$0] == 0) == ($0 / width == 1) })
            #expect(try array("grad/0.weight").values.allSatisfy(\.isFinite))
        }
    }

    @Test func groupsThatDoNotFitAreNamed() throws {
        let grouped = arguments + ["--clipping-style", "grouped"]
        for (options, message) in [
            ([], "--clip-group"), (["--clip-group", "0.weight=1"], "'0.bias' is in no group"),
            (["--clip-group", "*=1", "--clip-group", "0.*=1"], "is in two groups"),
            (["--clip-group", "*=1", "--clip-group", "conv*=1"], "'conv*' matches no parameter"),
            (["--clip-group", "*=0"], "--clip-group"), (["--clip-group", "*=1", "--clip-norm", "2"], "contradicts"),
        ] {
            let run = try CommandRun(grouped + options)
            #expect(run.status == 64 && run.errors.contains(message), "\(run.errors)")
        }
        #expect(try CommandRun(arguments + ["--clip-group", "*=1"]).status == 64)
    }

    @Test func theStatementTellsTheWholeNorm() throws {
        let model = folder.file("private.onnx")
        let run = try CommandRun(
            "train", Samples.model("mlp"), "--data", Samples.data("mlp"), "--noise-multiplier", "1", "--delta", "1e-5",
            "--dataset-size", "5", "--batch-size", "2", "--steps", "2", "--clipping-style", "grouped", "--clip-group",
            "*.weight=0.3", "--clip-group", "*.bias=0.4", "--output", model, "--json")
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.json?["clip_norm"] as? Double == 0.5)
        let inspect = try CommandRun("inspect", model)
        #expect(inspect.output.contains("grouped"))
    }
}
