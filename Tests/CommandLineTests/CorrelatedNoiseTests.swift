import DPONNX
import Foundation
import Testing

/// Runs whose noise is correlated over the steps.
@Suite(.serialized) struct CorrelatedNoiseTests {
    private let folder: TemporaryFolder
    private let output: String

    init() throws {
        folder = try TemporaryFolder()
        output = folder.file("private.onnx")
    }

    private func train(_ steps: Int, _ more: String...) -> [String] {
        [
            "train", Samples.model("mlp"), "--data", Samples.data("mlp"), "--delta", "1e-5", "--dataset-size", "50",
            "--batch-size", "2", "--steps", "\(steps)", "--mechanism", "bandmf", "--output", output,
        ] + more
    }

    private func epsilon(rate: Double, count: Int, noise: Double = 1) -> Double {
        let event = PrivacyEvent(.poissonSampledGaussian(samplingRate: rate, noiseMultiplier: noise), count: count)
        return PrivacyAccountant.pld.epsilon(of: [event], delta: 1e-5).epsilon
    }

    private func dataSet(_ ledger: String) throws -> [String: Any] {
        let run = try CommandRun("account", "--ledger", ledger, "--delta", "1e-5", "--json")
        #expect(run.status == 0, "\(run.errors)")
        return try #require((run.json?["data_sets"] as? [[String: Any]])?.first)
    }

    @Test func aRunIsChargedAsAWholeAndStated() throws {
        let ledger = folder.file("ledger")
        let run = try CommandRun(
            train(
                10, "--noise-multiplier", "1", "--bands", "4", "--ledger", ledger, "--dataset-id", "a", "--optimizer",
                "momentum", "--json"))
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.json?["mechanism"] as? String == "bandmf" && run.json?["bands"] as? Int == 4)
        let expected = epsilon(rate: 0.16, count: 3)
        #expect(run.json?["epsilon"] as? Double == expected)
        #expect((try dataSet(ledger)["pld"] as? [String: Any])?["epsilon"] as? Double == expected)
        #expect(try dataSet(ledger)["steps"] as? Int == 10)
        let inspected = try CommandRun("inspect", output).output
        #expect(inspected.contains("bandmf") && inspected.contains("cyclic-poisson"))
        let account = try CommandRun(
            "account", "--sampling-rate", "0.04", "--noise-multiplier", "1", "--steps", "10", "--delta", "1e-5",
            "--mechanism", "bandmf", "--bands", "4", "--json")
        #expect((account.json?["pld"] as? [String: Any])?["epsilon"] as? Double == expected)
        // Calibrated, bands chosen.
        let chosen = try CommandRun(train(60, "--epsilon", "6", "--json"))
        #expect(chosen.status == 0, "\(chosen.errors)")
        let reached = try #require(chosen.json?["epsilon"] as? Double)
        #expect(reached <= 6 && reached > 5.99)
        #expect(try #require(chosen.json?["bands"] as? Int) > 1)
    }

    /// Whatever was drawn before a kill was charged before; what is left is another mechanism, and all of it is told.
    @Test func aKilledRunGoesOnAsAFurtherMechanism() throws {
        let checkpoint = folder.file("run")
        let steps = 4000
        let options = train(steps, "--bands", "4", "--checkpoint", checkpoint, "--checkpoint-steps", "7")
        let begin = options + ["--noise-multiplier", "4"]
        let process = try CommandRun.start(begin)
        for _ in 0..<600 where !FileManager.default.fileExists(atPath: checkpoint + "/checkpoint.safetensors") {
            usleep(20_000)
        }
        usleep(100_000)
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        // Nothing but the whole is in the ledger, from before the first step on.
        #expect(try dataSet(checkpoint + "/ledger")["steps"] as? Int == steps)
        let whole = PrivacyEvent(.poissonSampledGaussian(samplingRate: 0.16, noiseMultiplier: 4), count: steps / 4)
        let other = try CommandRun(options + ["--noise-multiplier", "5", "--resume"])
        #expect(other.status == 65, "\(other.errors)")
        let end = try CommandRun(begin + ["--resume", "--json"])
        #expect(end.status == 0, "\(end.errors)")
        #expect(end.errors.contains("with a further mechanism of"))
        let set = try dataSet(checkpoint + "/ledger")
        let charged = try #require(set["steps"] as? Int)
        #expect(charged > steps && charged < 2 * steps)
        var total = whole
        total.count += (charged - steps + 3) / 4
        let expected = PrivacyAccountant.pld.epsilon(of: [total], delta: 1e-5).epsilon
        #expect(end.json?["epsilon"] as? Double == expected)
        #expect((set["pld"] as? [String: Any])?["epsilon"] as? Double == expected)
        #expect(try CommandRun("inspect", output).output.contains("\(charged - steps)"))
        // A finished run has nothing left that could be charged.
        let again = try CommandRun(begin + ["--resume", "--json"])
        #expect(again.status == 0, "\(again.errors)")
        #expect(try dataSet(checkpoint + "/ledger")["steps"] as? Int == charged)
        #expect(again.json?["epsilon"] as? Double == expected)
    }

    /// vit has 1411 weights: 31 remembered integers for each are 171 KiB.
    @Test func whatIsRememberedCountsAsMemory() throws {
        func run(_ more: String...) throws -> CommandRun {
            try CommandRun(
                [
                    "train", Samples.model("vit"), "--data", Samples.data("vit"), "--delta", "1e-5", "--steps", "400",
                    "--dataset-size", "400", "--batch-size", "1", "--noise-multiplier", "1", "--output", output,
                    "--memory-limit", "100K",
                ] + more)
        }
        let independent = try run("--steps", "1")
        #expect(independent.status == 0, "\(independent.errors)")
        let correlated = try run("--mechanism", "bandmf", "--bands", "32")
        #expect(correlated.status == 70 && correlated.errors.contains("--bands"), "\(correlated.errors)")
    }

    @Test func goingOnBeyondTheEpsilonAskedForIsRefused() throws {
        let checkpoint = folder.file("run")
        let steps = 4000
        let options = train(
            steps, "--bands", "4", "--checkpoint", checkpoint, "--checkpoint-steps", "7", "--epsilon", "8")
        let process = try CommandRun.start(options)
        for _ in 0..<600 where !FileManager.default.fileExists(atPath: checkpoint + "/checkpoint.safetensors") {
            usleep(20_000)
        }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        let refused = try CommandRun(options + ["--resume"])
        #expect(refused.status == 64 && refused.errors.contains("in place of --epsilon"), "\(refused.errors)")
        #expect(try dataSet(checkpoint + "/ledger")["steps"] as? Int == steps)
    }

    @Test func usage() throws {
        let sigma = ["--noise-multiplier", "1"]
        func fails(_ arguments: [String], _ message: String) throws {
            let run = try CommandRun(arguments)
            #expect(run.status == 64 && run.errors.contains(message), "\(run.errors)")
        }
        try fails(train(4, "--bands", "26") + sigma, "smaller than a batch")
        try fails(train(4, "--bands", "0") + sigma, "--bands")
        try fails(train(4, "--adaptive-clipping", "0.5") + sigma, "--adaptive-clipping")
        try fails(train(4, "--optimizer", "adam", "--adam-bias-correction") + sigma, "--adam-bias-correction")
        try fails(train(4, "--sampler", "truncated-poisson", "--largest-batch", "3") + sigma, "--sampler")
        try fails(train(4, "--clipping-mode", "non-private").filter { $0 != "--delta" && $0 != "1e-5" }, "bandmf")
        var independent = train(4, "--bands", "2") + sigma
        independent[independent.firstIndex(of: "bandmf")!] = "gaussian"
        try fails(independent, "--bands")
        let account = ["account", "--sampling-rate", "0.1", "--steps", "4", "--delta", "1e-5"] + sigma
        try fails(account + ["--mechanism", "bandmf"], "belong together")
        try fails(account + ["--mechanism", "bandmf", "--bands", "11"], "--bands")
    }
}
