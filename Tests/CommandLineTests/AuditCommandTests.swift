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

    @Test func usage() throws {
        #expect(try audit().status == 64)
        #expect(try audit("--clipping-mode", "non-private").status == 64)
        #expect(try audit("--noise-multiplier", "1", "--canaries", "0").status == 64)
        #expect(try audit("--noise-multiplier", "1", "--confidence", "1").status == 64)
    }
}
