import ArgumentParser
import DPONNX

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks the private gradients of your own model on your own data.",
        discussion: """
            Compares losses, norms and clipped sums with those of each sample alone, gradients with finite differences \
            of the loss, and what belongs to a sample before and after another one is exchanged. Computed without \
            noise: the figures are not covered by epsilon. Exit status 1 if something differs.

            Example: dponnx verify model.onnx --data train.npz --samples 4
            """)

    @OptionGroup var model: ModelArguments
    @OptionGroup var data: DataArguments
    @OptionGroup var selection: SelectionArguments
    @OptionGroup var clipping: ClippingArguments
    @OptionGroup var resources: ResourceArguments

    @Option(
        help: ArgumentHelp(
            "Samples of the data to use, from the first on: rows, or groups with --group-by.", valueName: "n"))
    var samples = 4

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard samples >= 1 else { throw ValidationError("--samples must be 1 or more") }
    }

    func run() throws {
        try reportingFailures {
            let pool = resources.makePool()
            let loaded = try selection.load(model)
            let loss = try data.specification(for: loaded)
            let set = try data.load(for: loaded, model.inputOptions)
            let names = try selection.names(in: loaded)
            let trainable = try loaded.trainable(names, for: set, model.inputOptions)
            let verifier = try GradientVerifier(
                trainable, loss: loss, clipping: clipping.options(for: names), data: set, samples: samples,
                physicalBatchSize: resources.physicalBatchSize, memoryLimit: resources.memoryBytes, pool: pool)
            let report = VerificationOutput(try verifier.verify())
            if json { try printJSON(report) } else { print(report.text) }
            if !report.passed { throw ExitCode(ExitStatus.checkFailed.rawValue) }
        }
    }
}

/// What `verify` prints.
private struct VerificationOutput: Encodable {
    struct Comparison: Encodable {
        let name: String
        let passed: Bool
        let error: Double
        let tolerance: Double
        let compared: Int
        let worst: String?
    }

    let passed: Bool
    let samples: Int
    let nonFiniteSamples: Int
    let parameters: Int
    let differentiatedParameters: Int
    let comparisons: [Comparison]

    init(_ report: VerificationReport) {
        passed = report.passes && report.samples > 0
        samples = report.samples
        nonFiniteSamples = report.nonFinite
        parameters = report.parameters
        differentiatedParameters = report.differentiated
        comparisons = report.comparisons.map {
            Comparison(
                name: $0.name, passed: $0.passes, error: $0.error, tolerance: $0.tolerance, compared: $0.count,
                worst: $0.place)
        }
    }

    var text: String {
        var table = Table(header: ["comparison", "result", "largest difference", "allowed", "compared", "where"])
        for comparison in comparisons {
            table.add(
                comparison.name, comparison.passed ? "ok" : "DIFFERS", short(comparison.error),
                short(comparison.tolerance), "\(comparison.compared)", comparison.worst ?? "-")
        }
        var lines = [table.text, ""]
        lines.append("\(samples) samples, \(parameters) parameters, \(differentiatedParameters) of them differentiated")
        if nonFiniteSamples > 0 { lines.append("\(nonFiniteSamples) samples left out: their loss is not finite") }
        lines.append(passed ? "the private gradients are right" : "the private gradients are NOT confirmed")
        return lines.joined(separator: "\n")
    }

    private func short(_ value: Double) -> String { String(Float(value)) }
}
