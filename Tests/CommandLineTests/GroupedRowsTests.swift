import DPONNX
import Foundation
import Testing

/// Users with several rows, on the command line.
@Suite struct GroupedRowsTests {
    private let folder: TemporaryFolder
    private let data: String

    /// Rows that occur twice: the rows of a user who repeats one row are that row.
    init() throws {
        folder = try TemporaryFolder()
        data = folder.file("users.csv")
        let file = try ArrayFile(path: Samples.data("mlp"))
        var x = [Double](repeating: 0, count: 30)
        try x.withUnsafeMutableBufferPointer { try file.array("x").gather(rows: Array(0..<5), into: $0) }
        var labels = [Double](repeating: 0, count: 5)
        try labels.withUnsafeMutableBufferPointer { try file.array("labels").gather(rows: Array(0..<5), into: $0) }
        var text = "user,labels," + (0..<6).map { "x.\($0)" }.joined(separator: ",") + "\n"
        for (user, row) in [("d", 0), ("e", 1), ("d", 0), ("f", 2), ("g", 3), ("h", 4), ("g", 3), ("d", 0)] {
            text += "\(user),\(Int(labels[row])),"
            text += x[row * 6..<row * 6 + 6].map { "\($0)" }.joined(separator: ",") + "\n"
        }
        try text.write(toFile: data, atomically: true, encoding: .utf8)
    }

    private func floats(_ path: String, _ key: String) throws -> [Float] {
        let array = try ArrayFile(path: path).array(key)
        var values = [Float](repeating: 0, count: array.shape.reduce(1, *))
        values.withUnsafeMutableBufferPointer { array.gather(rows: Array(0..<array.shape[0]), into: $0) }
        return values
    }

    @Test(arguments: ["flat", "parameter-wise"]) func aUserWhoRepeatsARowIsThatRow(style: String) throws {
        let (single, grouped) = (folder.file("single.npz"), folder.file("grouped.npz"))
        let options = ["--clipping-style", style, "--clip-norm", "0.3", "--output"]
        _ = try CommandRun(["gradients", Samples.model("mlp"), "--data", Samples.data("mlp")] + options + [single])
        let run = try CommandRun(
            ["gradients", Samples.model("mlp"), "--data", data, "--group-by", "user"] + options + [grouped])
        #expect(run.status == 0, "\(run.errors)")
        for key in try ArrayFile(path: single).keys {
            let (left, right) = try (floats(single, key), floats(grouped, key))
            #expect(left.count == right.count && zip(left, right).allSatisfy { abs($0 - $1) < 1e-5 }, "\(key)")
        }
        let evaluations = try [
            CommandRun("evaluate", Samples.model("mlp"), "--data", Samples.data("mlp"), "--json"),
            CommandRun("evaluate", Samples.model("mlp"), "--data", data, "--group-by", "user", "--json"),
        ]
        let losses = evaluations.compactMap { $0.json?["loss"] as? Double }
        #expect(losses.count == 2 && abs(losses[0] - losses[1]) < 1e-5)
    }

    @Test(arguments: [[], ["--physical-batch-size", "2"]]) func groupsAreVerified(_ more: [String]) throws {
        let run = try CommandRun(
            ["verify", Samples.model("mlp"), "--data", data, "--group-by", "user", "--json"] + more)
        #expect(run.status == 0, "\(run.errors)\(run.output)")
        #expect(run.json?["samples"] as? Int == 4)
    }

    @Test func theStatementNamesTheUnit() throws {
        let model = folder.file("private.onnx")
        let train = ["train", Samples.model("mlp"), "--data", data, "--group-by", "user", "--delta", "1e-5"]
        let run = try CommandRun(
            train + ["--noise-multiplier", "1", "--batch-size", "2", "--steps", "2", "--output", model, "--json"])
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.json?["dataset_size"] as? Int == 5)
        #expect(try CommandRun("inspect", model).output.contains("unit: all rows with one value of 'user'"))
        let tooMany = try CommandRun(
            train + ["--noise-multiplier", "1", "--sampler", "full", "--dataset-size", "4", "--output", model + "x"])
        #expect(tooMany.status == 64 && tooMany.errors.contains("5 groups"))
        // The largest group has three rows.
        let small = try CommandRun(
            train + [
                "--noise-multiplier", "1", "--batch-size", "2", "--physical-batch-size", "2", "--output", model + "x",
                "--profile", folder.file("trace"), "--steps", "3",
            ])
        #expect(small.status == 0, "\(small.errors)")
        #expect(
            try CommandRun(train + ["--group-by", "name", "--noise-multiplier", "1", "--output", model]).status != 0)
    }
}
