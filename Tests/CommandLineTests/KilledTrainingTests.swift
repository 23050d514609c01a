import DPONNX
import Foundation
import Testing

/// Runs killed at random instants: every noise that was drawn has been charged, and at most one charge per kill was for
/// noise that was not.
///
/// `DPONNX_KILL_TRIALS` sets their number; see `make kill-trials`.
@Suite(.serialized) struct KilledTrainingTests {
    private let folder: TemporaryFolder
    private var run: String { folder.file("run") }

    init() throws { folder = try TemporaryFolder() }

    private func start(steps: Int, counter: String) throws -> Process {
        let process = Process()
        process.executableURL = CommandRun.executable.deletingLastPathComponent().appendingPathComponent(
            "interrupted-training")
        process.arguments = [Samples.model("mlp"), Samples.data("mlp"), run, "\(steps)", counter]
        (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
        try process.run()
        return process
    }

    private func draws(_ counter: String) throws -> Int {
        try Data(contentsOf: URL(fileURLWithPath: counter)).withUnsafeBytes { $0.loadUnaligned(as: Int.self) }
    }

    @Test func chargesAreNoFewerThanDraws() throws {
        let trials = ProcessInfo.processInfo.environment["DPONNX_KILL_TRIALS"].flatMap(Int.init) ?? 12
        let counter = folder.file("counter")
        try Data(count: 8).write(to: URL(fileURLWithPath: counter))
        // So many that the run outlives its kills.
        let steps = 1_000_000
        var (kills, killsWhileStepping) = (0, 0)
        while kills < trials {
            let before = try draws(counter)
            let process = try start(steps: steps, counter: counter)
            // Some are killed while they start, most once they have begun to take steps.
            if kills % 4 != 0 {
                for _ in 0..<4000 where try draws(counter) == before { usleep(2000) }
            }
            usleep(UInt32.random(in: 0..<40_000))
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            kills += 1
            let drawn = try draws(counter)
            if drawn > before { killsWhileStepping += 1 }
            guard FileManager.default.fileExists(atPath: run + "/ledger") else { continue }
            let charged = (try? PrivacyLedger.runs(in: run + "/ledger"))?.reduce(0) { $0 + $1.charged } ?? 0
            #expect(charged >= drawn && charged <= drawn + kills, "\(charged) charged, \(drawn) drawn, \(kills) kills")
        }
        #expect(killsWhileStepping >= trials / 2)
    }
}
