import ArgumentParser
import DPONNX

/// What is told of a training beside its result. Much of it is computed without noise, so not covered by epsilon.
struct DiagnosticsArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Data to evaluate the trained model on; results are not covered by epsilon.", valueName: "file"))
    var validation: String?

    @Option(
        help: ArgumentHelp(
            "Folder for the log of this run: metrics.jsonl and TensorBoard events, not covered by epsilon.",
            valueName: "folder"))
    var logDir: String?

    @Option(
        help: ArgumentHelp(
            "Write a trace of one batch's nodes, for Perfetto; not covered by epsilon.", valueName: "file"))
    var profile: String?

    @Flag(help: "Leave out what is computed without noise: losses, clipped shares, norms, counts.")
    var noPrivateDiagnostics = false

    func validate() throws {
        guard noPrivateDiagnostics else { return }
        for (option, value) in [("validation", validation), ("profile", profile)] where value != nil {
            throw ValidationError("--\(option) is a private diagnostic; leave it or --no-private-diagnostics out")
        }
    }

    /// The log asked for; nil if none is.
    /// - Throws: `DataError` if its folder cannot be written to or holds another run's log.
    func openLog(_ statement: PrivacyStatement, isResumed: Bool) throws -> RunLog? {
        try logDir.map { try RunLog(folder: $0, description: RunDescription(statement), isResumed: isResumed) }
    }
}

/// What a log says of its run: nothing that depends on the data beyond what the model's privacy statement tells.
struct RunDescription: Codable {
    var isPrivate: Bool
    var reasonsNotPrivate: [String]
    var unit, adjacency, sampler: String
    var datasetSize: Int
    var samplingRate, expectedBatchSize, noiseMultiplier: Double
    /// Of correlated noise; nil for independent noise.
    var bands: Int?
    /// Nil without clipping.
    var clipNorm: Double?
    var clippingFunction, clippingStyle: String
    var steps: Int
    var accountant: String
    var epsilon, delta: Double?

    init(_ statement: PrivacyStatement) {
        let mechanism = statement.mechanism
        isPrivate = statement.isPrivate
        reasonsNotPrivate = statement.reasonsNotPrivate
        unit = mechanism.unit
        adjacency = mechanism.adjacency.rawValue
        sampler = mechanism.sampler.name
        datasetSize = mechanism.datasetSize
        samplingRate = mechanism.sampler.samplingRate
        expectedBatchSize = mechanism.expectedBatchSize
        noiseMultiplier = mechanism.noiseMultiplier
        bands = mechanism.bands
        clipNorm = mechanism.clippingNorm.isFinite ? mechanism.clippingNorm : nil
        clippingFunction = statement.clippingFunction
        clippingStyle = statement.clippingStyle
        steps = mechanism.steps
        accountant = statement.accountant.rawValue
        epsilon = statement.isPrivate ? statement.bound.epsilon : nil
        delta = statement.isPrivate ? statement.bound.delta : nil
    }
}
