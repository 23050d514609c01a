import Foundation
import Testing

@Suite struct BenchCommandTests {
    private func bench(_ more: String...) throws -> CommandRun {
        try CommandRun(["bench", Samples.model("mlp"), "--batch-size", "5", "--steps", "3", "--json"] + more)
    }

    @Test(arguments: ["bk", "bk-ghost", "ghost", "instantiate", "non-private"])
    func reportsWhatTheContractNames(mode: String) throws {
        let run = try bench("--clipping-mode", mode)
        let report = try #require(run.json, "\(run.errors)")
        #expect(report["mode"] as? String == mode)
        #expect(report["batch_size"] as? Int == 5 && report["steps"] as? Int == 3)
        let seconds = try #require(report["seconds_per_step"] as? [String: Double])
        let (least, median) = try (#require(seconds["min"]), #require(seconds["median"]))
        #expect(least > 0 && least <= median)
        let rate = try #require(report["samples_per_second"] as? Double)
        #expect(abs(rate * median - 5) < 1e-6)
        for key in ["gflop_per_second", "sgemm_gflop_per_second", "predicted_peak_bytes", "resident_peak_bytes"] {
            #expect((report[key] as? Double ?? 0) > 0, "\(key)")
        }
        let sites = try #require(report["sites"] as? [[String: Any]])
        #expect(mode == "non-private" || !sites.isEmpty)
        let linear = sites.filter { $0["site"] as? String == "linear" }.compactMap { $0["norm"] as? String }
        #expect(mode == "non-private" || !linear.isEmpty)
        if mode == "ghost" { #expect(linear.allSatisfy { $0 == "ghost" }) }
        if mode == "instantiate" { #expect(linear.allSatisfy { $0.hasPrefix("instantiate") }) }
    }

    @Test func refusesALogicalBatchBelowThePhysicalOne() throws {
        let run = try bench("--logical-batch-size", "4")
        #expect(run.status == 64 && run.errors.contains("--logical-batch-size"))
    }

    @Test func writesATraceOfEveryNode() throws {
        let folder = try TemporaryFolder()
        let run = try bench("--profile", folder.file("trace.json"))
        #expect(run.status == 0, "\(run.errors)")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.file("trace.json")))
        let trace = try #require(try JSONSerialization.jsonObject(with: bytes) as? [String: Any])
        let events = try #require(trace["traceEvents"] as? [[String: Any]])
        let nodes = events.filter { $0["ph"] as? String == "X" }
        #expect(nodes.count > 5 && nodes.allSatisfy { ($0["dur"] as? Double ?? -1) >= 0 })
        // They follow each other: one thread walks through the plan.
        let starts = nodes.compactMap { $0["ts"] as? Double }
        #expect(starts.count == nodes.count && starts == starts.sorted())
    }

    @Test func refusesWhatCannotBeTimed() throws {
        #expect(try CommandRun("bench", Samples.model("mlp"), "--batch-size", "0").status == 64)
        #expect(try CommandRun("bench", Samples.model("mlp"), "--clip-norm", "inf").status == 64)
        #expect(try CommandRun("bench", Samples.model("mlp"), "--clipping-mode", "fast").status == 64)
    }
}
