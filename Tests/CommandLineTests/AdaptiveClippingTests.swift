import Foundation
import Testing

/// Thresholds that follow the norms, and optimisers that know the noise, on the command line.
@Suite struct AdaptiveClippingTests {
    private let folder: TemporaryFolder
    private let train: [String]

    init() throws {
        folder = try TemporaryFolder()
        train = [
            "train", Samples.model("mlp"), "--data", Samples.data("mlp"), "--delta", "1e-5", "--dataset-size", "5",
            "--batch-size", "2", "--steps", "4", "--output", folder.file("private.onnx"), "--json",
        ]
    }

    @Test func theStatementIncludesTheCounts() throws {
        let run = try CommandRun(
            train + [
                "--epsilon", "2", "--adaptive-clipping", "0.5", "--optimizer", "adam", "--adam-bias-correction",
                "--checkpoint", folder.file("run"),
            ])
        #expect(run.status == 0, "\(run.errors)")
        let epsilon = try #require(run.json?["epsilon"] as? Double)
        #expect(epsilon <= 2 && epsilon > 1.99)
        #expect(run.json?["clip_norm"] as? Double == 1)
        let adapted = try #require(run.json?["adapted_clip_norm"] as? Double)
        #expect(adapted > 0 && adapted != 1)
        let inspect = try CommandRun("inspect", folder.file("private.onnx"), "--json")
        let privacy = try #require(inspect.json?["privacy"] as? [String: Any])
        #expect(privacy["is_consistent"] as? Bool == true)
        let statement = try #require(privacy["statement"] as? [String: String])
        #expect(statement["adaptive-clipping-quantile"] == "0.5")
        let sigma = try #require(statement["noise-multiplier"].flatMap(Double.init))
        #expect(try #require(statement["gradient-noise-multiplier"].flatMap(Double.init)) > sigma)
    }

    @Test func whatDoesNotFitIsRefused() throws {
        for options in [
            ["--adaptive-clipping", "1.5"], ["--count-noise", "3"], ["--adaptive-clipping-rate", "0.1"],
            ["--adaptive-clipping", "0.5", "--clipping-function", "automatic"],
            ["--adaptive-clipping", "0.5", "--clipping-style", "layer-wise"],
            ["--adaptive-clipping", "0.5", "--count-noise", "0.4"], ["--clip-norm", "inf"], ["--adam-bias-correction"],
            ["--optimizer", "adam", "--adam-floor", "1e-6"],
        ] {
            let run = try CommandRun(train + ["--noise-multiplier", "1"] + options)
            #expect(run.status == 64, "\(options): \(run.errors)")
        }
        #expect(try CommandRun(train + ["--noise-multiplier", "0", "--clip-norm", "inf"]).status == 0)
    }
}
