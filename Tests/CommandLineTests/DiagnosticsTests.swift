import DPONNX
import Foundation
import Testing

/// What epsilon does not cover: written where it was asked for, stamped, its owner's alone, and nowhere else.
@Suite struct DiagnosticsTests {
    private let folder: TemporaryFolder
    private var logs: String { folder.file("logs") }
    private var output: String { folder.file("private.onnx") }

    init() throws { folder = try TemporaryFolder() }

    private func train(_ more: String...) throws -> CommandRun {
        try CommandRun(
            [
                "train", Samples.model("mlp"), "--data", Samples.data("mlp"), "--noise-multiplier", "1", "--delta",
                "1e-5", "--dataset-size", "5", "--batch-size", "4", "--steps", "12", "--output", output, "--log-dir",
                logs,
            ] + more)
    }

    private func mode(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

    private func metrics() throws -> [[String: Any]] {
        try String(contentsOfFile: logs + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    @Test func filesAreStampedAndTheirOwnersAlone() throws {
        let profile = folder.file("profile.json")
        let run = try train("--validation", Samples.data("mlp"), "--profile", profile)
        #expect(run.status == 0, "\(run.errors)")
        let lines = try metrics()
        #expect(lines.compactMap { $0["step"] as? Int } == Array(1...12))
        for line in lines {
            #expect(line["stamp"] as? String == "not covered by epsilon")
            #expect(
                Set(line.keys) == [
                    "step", "loss", "learning_rate", "epsilon", "clipped_share", "median_norm", "largest_norm",
                    "samples", "excluded", "stamp",
                ])
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: logs)
        #expect(names.count == 4)
        for path in names.map({ logs + "/" + $0 }) + [profile] {
            #expect(try mode(path) == 0o600, "\(path)")
            let isStamped = try bytes(path).range(of: Data("not covered by epsilon".utf8)) != nil
            // run.json holds what the model's statement says, and nothing else.
            #expect(isStamped != path.hasSuffix("run.json"), "\(path)")
        }
        #expect(run.output.contains("not covered by epsilon"))
        // A second run would mix two logs.
        #expect(try train().status == 73)

        let gradients = folder.file("gradients.npz")
        _ = try CommandRun("gradients", Samples.model("mlp"), "--data", Samples.data("mlp"), "--output", gradients)
        #expect(try mode(gradients) == 0o600)
    }

    @Test func withoutPrivateDiagnosticsNothingOfTheDataIsTold() throws {
        let run = try train("--no-private-diagnostics")
        #expect(run.status == 0, "\(run.errors)")
        for line in try metrics() { #expect(Set(line.keys) == ["step", "learning_rate", "epsilon"]) }
        for word in ["loss", "clipped", "norm", "samples", "excluded"] {
            for name in try FileManager.default.contentsOfDirectory(atPath: logs) where name != "run.json" {
                #expect(try bytes(logs + "/" + name).range(of: Data(word.utf8)) == nil, "\(name): \(word)")
            }
        }
        #expect(!run.errors.contains("loss") && !run.errors.contains("clipped "))
        #expect(try CommandRun("report", logs).status == 0)
        let page = try String(contentsOfFile: logs + "/report.html", encoding: .utf8)
        #expect(!page.contains("Loss") && page.contains("Epsilon") && page.contains("Learning rate"))
        for option in ["--validation", "--profile"] {
            #expect(try train("--no-private-diagnostics", option, folder.file("x")).status == 64)
        }
    }

    /// Losses and norms, as they may be written in binary or as text, in everything that is kept or given away.
    @Test func nothingOfItEntersModelCheckpointOrLedger() throws {
        let (checkpoint, ledger) = (folder.file("run"), folder.file("ledger"))
        let run = try train(
            "--checkpoint", checkpoint, "--checkpoint-steps", "1", "--ledger", ledger, "--dataset-id", "a",
            "--validation", Samples.data("mlp"), "--json")
        #expect(run.status == 0, "\(run.errors)")
        var secrets: [Double] = []
        for line in try metrics() {
            secrets += ["loss", "median_norm", "largest_norm"].compactMap { line[$0] as? Double }
        }
        secrets.append(try #require((run.json?["validation"] as? [String: Any])?["loss"] as? Double))
        #expect(secrets.count > 30)
        let kept = try FileManager.default.contentsOfDirectory(atPath: checkpoint).map { checkpoint + "/" + $0 }
        #expect(kept.count == 2)
        for path in kept + [ledger, output] {
            let contents = try bytes(path)
            for secret in secrets {
                let forms = [
                    withUnsafeBytes(of: secret) { Data($0) }, withUnsafeBytes(of: Float(secret)) { Data($0) },
                    Data("\(secret)".utf8), Data("\(Float(secret))".utf8),
                ]
                for form in forms { #expect(contents.range(of: form) == nil, "\(path): \(secret)") }
            }
        }
    }

    @Test func aReportStandsForItself() throws {
        _ = try train("--validation", Samples.data("mlp"))
        let run = try CommandRun("report", logs, "--output", folder.file("report.html"), "--json")
        #expect(run.status == 0 && run.json?["steps"] as? Int == 12, "\(run.errors)")
        #expect(try mode(folder.file("report.html")) == 0o600)
        let page = try String(contentsOfFile: folder.file("report.html"), encoding: .utf8)
        #expect(page.contains("not covered by epsilon"))
        for title in ["Loss", "Epsilon", "Clipping", "Gradient norms", "Learning rate", "validation loss"] {
            #expect(page.contains(title))
        }
        // Nothing is fetched.
        let references = page.components(separatedBy: "http").count - 1
        #expect(references == page.components(separatedBy: "xmlns=\"http://www.w3.org/2000/svg\"").count - 1)
        #expect(!page.contains("<script") && !page.contains("src="))
        #expect(try CommandRun("report", folder.file("none")).status == 66)
    }

    @Test func aReportOfACheckpointTellsEpsilon() throws {
        let checkpoint = folder.file("run")
        #expect(try train("--checkpoint", checkpoint).status == 0)
        #expect(try CommandRun("report", checkpoint).status == 64)
        let run = try CommandRun("report", checkpoint, "--delta", "1e-5", "--json")
        #expect(run.json?["steps"] as? Int == 12, "\(run.errors)")
        #expect(try mode(checkpoint + "/report.html") == 0o600)
        try FileManager.default.moveItem(atPath: checkpoint + "/ledger", toPath: folder.file("ledger"))
        let moved = ["report", checkpoint, "--delta", "1e-5"]
        #expect(try CommandRun(moved).status == 66)
        #expect(try CommandRun(moved + ["--ledger", folder.file("ledger")]).status == 0)
    }
}
