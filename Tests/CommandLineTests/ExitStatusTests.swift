import Foundation
import Testing

/// What each command returns when something is wrong, and that it says so in one line.
@Suite struct ExitStatusTests {
    private let folder: TemporaryFolder
    private let output: String

    init() throws {
        folder = try TemporaryFolder()
        output = folder.file("output.npz")
    }

    private func expect(_ run: CommandRun, _ status: Int32, _ message: String) {
        #expect(run.status == status, "\(run.errors)")
        #expect(run.errors.contains(message), "\(run.errors)")
        #expect(run.output.isEmpty)
        #expect(!FileManager.default.fileExists(atPath: output))
    }

    private func gradients(_ arguments: String...) throws -> CommandRun {
        try CommandRun(["gradients"] + arguments + ["--output", output])
    }

    @Test func usage() throws {
        #expect(try CommandRun("train").status == 64)
        #expect(try CommandRun("gradients", "--no-such-option").status == 64)
        let (mlp, data) = (Samples.model("mlp"), Samples.data("mlp"))
        expect(try gradients(mlp, "--data", data, "--trainable", "no*"), 64, "no*")
        expect(try gradients(mlp, "--data", data, "--logits", "x"), 64, "'logits'")
        expect(try gradients(mlp, "--data", data, "--batch-axis", "y=1"), 64, "'x'")
        let train = ["train", mlp, "--data", data, "--output", folder.file("p.onnx")]
        #expect(try CommandRun(train).status == 64)
        #expect(try CommandRun(train + ["--epsilon", "1"]).status == 64)
        #expect(try CommandRun(train + ["--epsilon", "1", "--noise-multiplier", "1", "--delta", "1e-5"]).status == 64)
        let calibrated = train + ["--epsilon", "1", "--delta", "1e-5"]
        #expect(try CommandRun(calibrated + ["--batch-size", "6"]).status == 64)
        #expect(try CommandRun(calibrated + ["--batch-size", "2", "--sampler", "full"]).status == 64)
        #expect(try CommandRun(calibrated + ["--batch-size", "2", "--largest-batch", "3"]).status == 64)
        #expect(try CommandRun(calibrated + ["--batch-size", "2", "--sampler", "truncated-poisson"]).status == 64)
        // Five rows where four are declared.
        #expect(try CommandRun(calibrated + ["--sampler", "full", "--dataset-size", "4"]).status == 64)
    }

    @Test func missingFiles() throws {
        expect(try gradients("no.onnx", "--data", Samples.data("mlp")), 66, "no.onnx")
        expect(try gradients(Samples.model("mlp"), "--data", "no.npz"), 66, "no.npz")
    }

    @Test func badModel() throws {
        let model = folder.file("bad.onnx")
        try Data([1, 2, 3, 250]).write(to: URL(fileURLWithPath: model))
        expect(try gradients(model, "--data", Samples.data("mlp")), 65, "bad.onnx")
        #expect(try CommandRun("check", model).status == 65)
        #expect(try CommandRun("inspect", model).status == 65)
    }

    @Test func badData() throws {
        expect(try gradients(Samples.model("mlp"), "--data", Samples.data("lenet")), 65, "input")
        expect(try gradients(Samples.model("mlp"), "--data", Samples.data("mlp"), "--target", "y"), 65, "'y'")
    }

    @Test func unsupportedOperator() throws {
        expect(try gradients(Samples.unknownOperator, "--data", Samples.data("mlp")), 69, "node 'centre' (Centre)")
        let check = try CommandRun("check", Samples.unknownOperator, "--json")
        #expect(check.status == 1)
        #expect(check.json?["can_train_privately"] as? Bool == false)
    }

    @Test func outputThatCannotBeWritten() throws {
        let run = try CommandRun(
            "gradients", Samples.model("mlp"), "--data", Samples.data("mlp"), "--output", folder.file("none/o.npz"))
        #expect(run.status == 73)
        let overItself = try CommandRun(
            "run", Samples.model("mlp"), "--data", Samples.data("mlp"), "--output", Samples.model("mlp"))
        #expect(overItself.status == 73)
    }

    @Test func mixedSamples() throws {
        let (model, data) = (Samples.mixing, Samples.data("mlp"))
        expect(
            try gradients(model, "--data", data), 65,
            "node 'batch_mean' (ReduceMean): mixes the samples of a batch on axis 0")
        let train = try CommandRun(
            "train", model, "--data", data, "--epsilon", "1", "--delta", "1e-5", "--batch-size", "2", "--output",
            folder.file("p.onnx"))
        #expect(train.status == 65)
        let check = try CommandRun("check", model, "--json")
        #expect(check.status == 1)
        #expect(check.json?["samples_independent"] as? Bool == false)
        let problem = try #require((check.json?["problems"] as? [[String: Any]])?.first)
        #expect(problem["node"] as? String == "batch_mean")
        #expect(problem["axis"] as? Int == 0)
        #expect(try CommandRun("inspect", model).status == 0)
        #expect(try CommandRun("run", model, "--data", data, "--output", output).status == 0)
    }
}
