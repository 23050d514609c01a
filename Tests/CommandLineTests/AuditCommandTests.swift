import Foundation
import Testing

@Suite struct AuditCommandTests {
    private func audit(_ more: String...) throws -> CommandRun {
        try CommandRun(
            ["audit", Samples.model("vit"), "--data", Samples.data("vit"), "--delta", "1e-5", "--steps", "3"] + more)
    }

    @Test func tellsTheBoundBesideTheClaim() throws {
        let run = try audit(
            "--noise-multiplier", "0.5", "--dataset-size", "50", "--batch-size", "25", "--confidence", "0.9", "--json")
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.errors.contains("not covered by epsilon"))
        let report = try #require(run.json)
        let (lower, claimed) = (
            try #require(report["epsilon_lower_bound"] as? Double), try #require(report["claimed_epsilon"] as? Double)
        )
        #expect(lower > 0.5 && lower <= claimed)
        #expect(report["delta"] as? Double == 1e-5 && report["confidence"] as? Double == 0.9)
        let canaries = try #require(report["canaries"] as? Int)
        let (guesses, correct) = (try #require(report["guesses"] as? Int), try #require(report["correct"] as? Int))
        #expect(canaries >= guesses && guesses >= correct && correct > 0)
        #expect(report["covered_by_epsilon"] as? Bool == false)
        let account = try CommandRun(
            "account", "--sampling-rate", "0.5", "--noise-multiplier", "0.5", "--steps", "3", "--delta", "1e-5",
            "--json")
        #expect((account.json?["pld"] as? [String: Any])?["epsilon"] as? Double == claimed)
    }

    @Test func canariesAreAmongTheRowsThatTruncationCounts() throws {
        let run = try audit(
            "--epsilon", "8", "--sampler", "truncated-poisson", "--largest-batch", "40", "--dataset-size", "50",
            "--batch-size", "10", "--json")
        #expect(run.status == 0 && run.json?["canaries"] as? Int == 25, "\(run.errors)")
        #expect(
            try audit(
                "--epsilon", "8", "--sampler", "truncated-poisson", "--largest-batch", "40", "--dataset-size", "50",
                "--batch-size", "10", "--canaries", "50"
            ).status == 64)
    }

    @Test func everythingThatTrainsIsAudited() throws {
        let adaptive = try audit(
            "--noise-multiplier", "1", "--dataset-size", "50", "--batch-size", "25", "--adaptive-clipping", "0.5",
            "--json")
        #expect(adaptive.status == 0 && adaptive.json?["count_noise_deviation"] is Double, "\(adaptive.errors)")
        let correlated = try audit(
            "--noise-multiplier", "1", "--dataset-size", "50", "--batch-size", "10", "--mechanism", "bandmf", "--json")
        #expect(correlated.status == 0 && correlated.json?["noise_deviation"] is Double, "\(correlated.errors)")
        let folder = try TemporaryFolder()
        let users = folder.file("users.csv")
        let rows = (0..<9).map { "\($0 / 3)," + (0..<6).map { _ in "0.5," }.joined() + "\($0 % 2)" }
        try (["user,x.0,x.1,x.2,x.3,x.4,x.5,labels"] + rows).joined(separator: "\n")
            .write(toFile: users, atomically: true, encoding: .utf8)
        let grouped = try CommandRun(
            "audit", Samples.model("mlp"), "--data", users, "--group-by", "user", "--delta", "1e-3", "--steps", "3",
            "--noise-multiplier", "1", "--batch-size", "2", "--json")
        #expect(grouped.status == 0 && grouped.json?["probed_records"] as? Int == 131, "\(grouped.errors)")
    }

    @Test func usage() throws {
        #expect(
            try audit("--noise-multiplier", "1", "--mechanism", "bandmf", "--adaptive-clipping", "0.5").status == 64)
        #expect(try audit().status == 64)
        #expect(try audit("--clipping-mode", "non-private").status == 64)
        #expect(try audit("--noise-multiplier", "1", "--canaries", "0").status == 64)
        #expect(try audit("--noise-multiplier", "1", "--confidence", "1").status == 64)
    }
}
