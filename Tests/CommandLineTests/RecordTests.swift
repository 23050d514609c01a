import Foundation
import Testing

/// Ledgers, checkpoints, and what becomes of runs that are interrupted.
@Suite(.serialized) struct RecordTests {
    private let folder: TemporaryFolder
    private let output: String

    init() throws {
        folder = try TemporaryFolder()
        output = folder.file("private.onnx")
    }

    private func train(_ steps: Int, _ more: String...) -> [String] {
        [
            "train", Samples.model("mlp"), "--data", Samples.data("mlp"), "--noise-multiplier", "1", "--delta", "1e-5",
            "--dataset-size", "5", "--batch-size", "2", "--steps", "\(steps)", "--output", output,
        ] + more
    }

    private func spent(_ ledger: String) throws -> [[String: Any]] {
        let run = try CommandRun("account", "--ledger", ledger, "--delta", "1e-5", "--json")
        #expect(run.status == 0, "\(run.errors)")
        return try #require(run.json?["data_sets"] as? [[String: Any]])
    }

    private func stepsSpent(_ ledger: String) throws -> Int {
        let sets = try spent(ledger)
        return sets.reduce(0) { $0 + ($1["steps"] as? Int ?? 0) }
    }

    @Test func runsOnOneDataSetAddUp() throws {
        let ledger = folder.file("ledger")
        for (steps, id) in [(3, "people"), (5, "people"), (2, "other set")] {
            let run = try CommandRun(train(steps, "--ledger", ledger, "--dataset-id", id))
            #expect(run.status == 0, "\(run.errors)")
        }
        let sets = try spent(ledger)
        #expect(sets.map { $0["id"] as? String } == ["other set", "people"])
        #expect(sets.map { $0["runs"] as? Int } == [1, 2])
        #expect(sets.map { $0["steps"] as? Int } == [2, 8])
        let whole = try CommandRun(
            "account", "--sampling-rate", "0.4", "--noise-multiplier", "1", "--steps", "8", "--delta", "1e-5", "--json")
        let expected = try #require((whole.json?["pld"] as? [String: Any])?["epsilon"] as? Double)
        #expect((sets[1]["pld"] as? [String: Any])?["epsilon"] as? Double == expected)
    }

    @Test func killedRunsLeaveAUsableRunAndEveryStepIsCounted() throws {
        let checkpoint = folder.file("run")
        let steps = 3000
        let begin = train(steps, "--checkpoint", checkpoint, "--checkpoint-steps", "7")
        var arguments = begin
        var charged = 0
        for round in 0..<12 {
            let process = try CommandRun.start(arguments)
            usleep(UInt32(120_000 + 37_000 * (round * 7 % 12)))
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            guard FileManager.default.fileExists(atPath: checkpoint + "/run") else { continue }
            arguments = begin + ["--resume"]
            let now = try stepsSpent(checkpoint + "/ledger")
            #expect(now >= charged && now <= steps)
            charged = now
        }
        let end = try CommandRun(arguments)
        #expect(end.status == 0, "\(end.errors)")
        #expect(try stepsSpent(checkpoint + "/ledger") == steps)
        #expect(try CommandRun("inspect", output, "--json").json?["privacy"] is [String: Any])
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func aSignalFinishesTheStepAndResumingLosesNothing(signal: Int32) throws {
        let checkpoint = folder.file("run")
        let arguments = train(20_000, "--checkpoint", checkpoint)
        let process = try CommandRun.start(arguments)
        let ledger = checkpoint + "/ledger"
        func size() -> Int { (try? Data(contentsOf: URL(fileURLWithPath: ledger)))?.count ?? 0 }
        func wait(forMoreThan bytes: Int) {
            for _ in 0..<400 {
                if size() > bytes { return }
                usleep(25_000)
            }
        }
        wait(forMoreThan: 2000)
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        #expect(process.terminationStatus == 128 + signal)
        #expect(!FileManager.default.fileExists(atPath: output))
        let before = try stepsSpent(ledger)
        #expect(before > 0 && before < 20_000)
        // Another data set or option is refused; the same resumes where it stopped.
        let other = try CommandRun(train(20_001, "--checkpoint", checkpoint, "--resume"))
        #expect(other.status == 65, "\(other.errors)")
        let stopped = size()
        let again = try CommandRun.start(arguments + ["--resume"])
        wait(forMoreThan: stopped)
        // While it runs, nobody else may use the folder.
        let second = try CommandRun(arguments + ["--resume"])
        #expect(second.status == 74 && second.errors.contains("in use"), "\(second.errors)")
        kill(again.processIdentifier, SIGKILL)
        again.waitUntilExit()
        #expect(try CommandRun(arguments).status == 73)
    }

    @Test func aLedgerThatCannotGrowStopsTheRunBeforeItsNoise() throws {
        let ledger = folder.file("ledger")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        // Files of at most 512 bytes; writes beyond fail instead of killing the process.
        let command = [CommandRun.executable.path] + train(100, "--ledger", ledger, "--dataset-id", "a")
        process.arguments = ["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"] + command
        (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 74)
        #expect(!FileManager.default.fileExists(atPath: output))
        let charged = try stepsSpent(ledger)
        #expect(charged > 0 && charged < 100)
        // The incomplete line is cut off by the next run.
        let next = try CommandRun(train(4, "--ledger", ledger, "--dataset-id", "a"))
        #expect(next.status == 0, "\(next.errors)")
        #expect(try stepsSpent(ledger) == charged + 4)
    }

    @Test func usage() throws {
        #expect(try CommandRun(train(2, "--ledger", folder.file("l"))).status == 64)
        #expect(try CommandRun(train(2, "--resume")).status == 64)
        #expect(try CommandRun(train(2, "--checkpoint", folder.file("none"), "--resume")).status == 66)
        #expect(try CommandRun(train(2, "--seed", "1", "--ledger", folder.file("l"), "--dataset-id", "a")).status == 64)
        #expect(try CommandRun("account", "--ledger", folder.file("l"), "--delta", "1e-5").status == 66)
        let notALedger = Samples.data("mlp")
        #expect(try CommandRun("account", "--ledger", notALedger, "--delta", "1e-5").status == 65)
    }
}
