import DPONNX
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

    @Test func differentRunsComposeAndAreListed() throws {
        let ledger = folder.file("ledger")
        for options in [["--noise-multiplier", "1.5"], ["--noise-multiplier", "3", "--sampler", "full"]] {
            var arguments = train(6, "--ledger", ledger, "--dataset-id", "people")
            let noise = arguments.firstIndex(of: "--noise-multiplier")!
            arguments.removeSubrange(noise...noise + 1)
            if options.count > 2 {
                let batch = arguments.firstIndex(of: "--batch-size")!
                arguments.removeSubrange(batch...batch + 1)
            }
            let run = try CommandRun(arguments + options)
            #expect(run.status == 0, "\(run.errors)")
        }
        let set = try #require(try spent(ledger).first)
        let events = [
            PrivacyEvent(.poissonSampledGaussian(samplingRate: 0.4, noiseMultiplier: 1.5), count: 6),
            PrivacyEvent(.poissonSampledGaussian(samplingRate: 1, noiseMultiplier: 3), count: 6),
        ]
        let total = PrivacyLossAccountant(events).epsilon(delta: 1e-5).upper
        #expect((set["pld"] as? [String: Any])?["epsilon"] as? Double == total)
        let runs = try #require(set["run_list"] as? [[String: Any]])
        #expect(runs.map { $0["noise_multiplier"] as? Double } == [1.5, 3])
        for (run, event) in zip(runs, events) {
            #expect(run["epsilon"] as? Double == PrivacyLossAccountant([event]).epsilon(delta: 1e-5).upper)
        }
    }

    @Test func aBudgetHoldsForAllRunsOfADataSet() throws {
        let ledger = folder.file("ledger")
        let one = PrivacyEvent(.poissonSampledGaussian(samplingRate: 0.4, noiseMultiplier: 1), count: 8)
        let budget = "\(PrivacyLossAccountant([one]).epsilon(delta: 1e-5).upper * 1.0001)"
        func run(_ steps: Int, _ id: String) throws -> CommandRun {
            try CommandRun(train(steps, "--ledger", ledger, "--dataset-id", id, "--dataset-budget", budget))
        }
        #expect(try run(5, "people").status == 0)
        let refused = try run(4, "people")
        #expect(refused.status == 64 && refused.errors.contains("3 of its 4 steps would fit"), "\(refused.errors)")
        // A refused run leaves no trace; another data set has a budget of its own.
        #expect(try stepsSpent(ledger) == 5)
        #expect(try run(4, "others").status == 0)
        #expect(try run(3, "people").status == 0)
        let spent = try run(1, "people")
        #expect(spent.status == 64 && spent.errors.contains("not one of its steps"), "\(spent.errors)")
        #expect(spent.errors.split(separator: "\n").count { $0.hasPrefix("error:") } == 1)
    }

    /// What a user's rows cost together does not follow from what one row costs, nor the other way round.
    @Test func runsOnRowsAndOnUsersDoNotAddUp() throws {
        let ledger = folder.file("ledger")
        let users = folder.file("users.csv")
        var text = "user," + (0..<6).map { "x.\($0)" }.joined(separator: ",") + ",labels\n"
        for row in 0..<5 { text += "\(row / 2),0,1,2,3,4,5,\(row % 2)\n" }
        try text.write(toFile: users, atomically: true, encoding: .utf8)
        func run(_ steps: Int, grouped: Bool, _ more: String...) throws -> CommandRun {
            var arguments = train(steps, "--ledger", ledger, "--dataset-id", "people") + more
            arguments[arguments.firstIndex(of: "--data")! + 1] = users
            return try CommandRun(arguments + (grouped ? ["--group-by", "user"] : []))
        }
        #expect(!(try run(3, grouped: false).errors.contains("add up")))
        let grouped = try run(4, grouped: true)
        #expect(grouped.status == 0 && grouped.errors.contains("do not add up"), "\(grouped.errors)")
        #expect(try run(2, grouped: false).status == 0)
        let account = try CommandRun("account", "--ledger", ledger, "--delta", "1e-5", "--json")
        let sets = try #require(account.json?["data_sets"] as? [[String: Any]])
        #expect(sets.map { $0["id"] as? String } == ["people", "people"])
        let units = ["all rows with one value of 'user'", "one row of axis 0"]
        #expect(sets.map { $0["unit"] as? String } == units)
        #expect(sets.map { $0["steps"] as? Int } == [4, 5] && sets.map { $0["runs"] as? Int } == [1, 2])
        for (set, steps) in zip(sets, [4, 5]) {
            let event = PrivacyEvent(.poissonSampledGaussian(samplingRate: 0.4, noiseMultiplier: 1), count: steps)
            #expect(
                (set["pld"] as? [String: Any])?["epsilon"] as? Double
                    == PrivacyLossAccountant([event]).epsilon(delta: 1e-5).upper)
        }
        let notes = try #require(account.json?["notes"] as? [String])
        let note = try #require(notes.first)
        #expect(notes.count == 1 && note.contains("'people'") && note.contains("not added up"))
        let shown = try CommandRun("account", "--ledger", ledger, "--delta", "1e-5").output
        #expect(shown.contains(note) && units.allSatisfy { shown.contains($0) })
        // A budget for both together would promise what nobody can compute.
        let refused = try run(1, grouped: true, "--dataset-budget", "1000")
        #expect(refused.status == 64 && refused.errors.contains("a budget cannot add them up"), "\(refused.errors)")
    }

    @Test func fingerprintsTellDataApart() throws {
        let (ledger, key) = (folder.file("ledger"), folder.file("key"))
        try Data("sixteen or more bytes".utf8).write(to: URL(fileURLWithPath: key))
        func run(_ id: String, _ data: String = Samples.data("mlp")) throws -> String {
            var arguments = train(1, "--ledger", ledger, "--dataset-id", id, "--fingerprint-key", key)
            arguments[arguments.firstIndex(of: "--data")! + 1] = data
            let run = try CommandRun(arguments)
            #expect(run.status == 0, "\(run.errors)")
            return run.errors
        }
        #expect(!(try run("people").contains("fingerprint")))
        #expect(!(try run("people").contains("fingerprint")))
        #expect(try run("persons").contains("the same data as 'people'"))
        let file = try ArrayFile(path: Samples.data("mlp"))
        let other = folder.file("other.npz")
        var writer = try ArrayFileWriter(
            path: other,
            arrays: [.init(name: "x", type: .float32, shape: [5, 6]), .init(name: "labels", type: .int64, shape: [5])])
        var values = [Float](repeating: 0, count: 30)
        let array = try file.array("x")
        values.withUnsafeMutableBufferPointer { array.gather(rows: Array(0..<5), into: $0) }
        values[7] += 1
        try writer.append(values)
        try writer.append([Int64](repeating: 1, count: 5))
        try writer.finish()
        #expect(try run("people", other).contains("another fingerprint"))
        // HMAC, not a hash: the digest depends on the key.
        let fingerprints = try PrivacyLedger.runs(in: ledger).map(\.fingerprint)
        #expect(
            fingerprints[0]?.count == 64 && fingerprints[0] == fingerprints[1] && fingerprints[0] != fingerprints[3])
        try Data("another key of some length".utf8).write(to: URL(fileURLWithPath: key))
        #expect(try run("people").contains("another fingerprint"))
        try Data("short".utf8).write(to: URL(fileURLWithPath: key))
        let short = try CommandRun(train(1, "--ledger", ledger, "--dataset-id", "a", "--fingerprint-key", key))
        #expect(short.status == 65, "\(short.errors)")
    }

    /// Files of a kibibyte at most: the model or the checkpoint cannot be written.
    @Test(arguments: [false, true]) func aFullDiskLeavesNothingHalfWritten(checkpoints: Bool) throws {
        let checkpoint = folder.file("run")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        let command =
            [CommandRun.executable.path]
            + (checkpoints ? train(3, "--checkpoint", checkpoint, "--checkpoint-steps", "1") : train(3))
        process.arguments = ["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"] + command
        (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 74)
        #expect(!FileManager.default.fileExists(atPath: output))
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(left == (checkpoints ? ["run"] : []))
        guard checkpoints else { return }
        #expect(try FileManager.default.contentsOfDirectory(atPath: checkpoint).sorted() == ["ledger", "run"])
        // With room again the run goes on; what was charged stays charged.
        let charged = try stepsSpent(checkpoint + "/ledger")
        #expect(charged == 1)
        let again = try CommandRun(train(3, "--checkpoint", checkpoint, "--resume"))
        #expect(again.status == 0, "\(again.errors)")
        #expect(try stepsSpent(checkpoint + "/ledger") == 3)
    }

    @Test func placesThatCannotBeWrittenAreRefusedBeforeTheFirstStep() throws {
        let ledger = folder.file("ledger")
        var arguments = train(2, "--ledger", ledger, "--dataset-id", "a")
        arguments[arguments.firstIndex(of: "--output")! + 1] = folder.file("none/private.onnx")
        #expect(try CommandRun(arguments).status == 73)
        #expect(try CommandRun(train(2, "--checkpoint", folder.file("none/run"))).status == 73)
        #expect(try CommandRun(train(2, "--log-dir", folder.file("none/logs"))).status == 73)
        #expect(!FileManager.default.fileExists(atPath: ledger))
    }

    /// Permissions do not bind the superuser.
    @Test(.enabled(if: getuid() != 0)) func aFolderThatIsReadOnlyIsRefusedBeforeTheFirstStep() throws {
        let closed = folder.file("closed")
        try FileManager.default.createDirectory(
            atPath: closed, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o555])
        let ledger = folder.file("ledger")
        var arguments = train(2, "--ledger", ledger, "--dataset-id", "a")
        arguments[arguments.firstIndex(of: "--output")! + 1] = closed + "/private.onnx"
        #expect(try CommandRun(arguments).status == 73)
        #expect(!FileManager.default.fileExists(atPath: ledger))
    }

    @Test func usage() throws {
        #expect(try CommandRun(train(2, "--ledger", folder.file("l"))).status == 64)
        #expect(try CommandRun(train(2, "--resume")).status == 64)
        #expect(try CommandRun(train(2, "--dataset-budget", "1")).status == 64)
        #expect(try CommandRun(train(2, "--fingerprint-key", "k")).status == 64)
        #expect(try CommandRun(train(2, "--checkpoint", folder.file("none"), "--resume")).status == 66)
        #expect(try CommandRun(train(2, "--seed", "1", "--ledger", folder.file("l"), "--dataset-id", "a")).status == 64)
        #expect(try CommandRun("account", "--ledger", folder.file("l"), "--delta", "1e-5").status == 66)
        let notALedger = Samples.data("mlp")
        #expect(try CommandRun("account", "--ledger", notALedger, "--delta", "1e-5").status == 65)
    }
}
