public import ArgumentParser
public import DPONNX

/// The privacy to reach and the sampling it is computed from.
struct PrivacyArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Epsilon to reach; the noise is calibrated to it.", valueName: "epsilon"))
    var epsilon: Double?

    @Option(help: ArgumentHelp("delta of (epsilon, delta); well below 1/N.", valueName: "delta"))
    var delta: Double?

    @Option(help: ArgumentHelp("Noise standard deviation in units of C, in place of --epsilon.", valueName: "sigma"))
    var noiseMultiplier: Double?

    @Option(
        help: ArgumentHelp(
            "Number of samples N as declared, from which sampling rate and steps derive; default: the file's rows, or "
                + "groups with --group-by.",
            valueName: "n"))
    var datasetSize: Int?

    @Option(
        help: ArgumentHelp(
            "Logical (expected) batch size B; the sampling rate is B/N. Default: 256, and N with --sampler full.",
            valueName: "b"))
    var batchSize: Int?

    @Option(
        help: """
            How batches are drawn: every sample with probability B/N; the same, but at most --largest-batch of them; all.
            """)
    var sampler = PrivacyRequest.Sampler.poisson

    @Option(help: ArgumentHelp("Samples of a batch at most, with --sampler truncated-poisson.", valueName: "m"))
    var largestBatch: Int?

    @Option(
        name: .customLong("mechanism"),
        help: """
            Noise of different steps: independent, or correlated by banded matrix factorisation (Choquette-Choo et al. \
            2023), whose sum over the steps is smaller. It is charged as a whole at the start.
            """)
    var noise = PrivacyRequest.Noise.gaussian

    @Option(
        help: ArgumentHelp(
            "Steps over which noise is correlated, with --mechanism bandmf; N/B at most. Default: what leaves the least "
                + "noise at --epsilon, 8 at most with --noise-multiplier.", valueName: "b"))
    var bands: Int?

    @Option(help: ArgumentHelp("Passes over the data: steps = epochs N / B, rounded up.", valueName: "e"))
    var epochs: Double?

    @Option(help: ArgumentHelp("Number of updates, in place of --epochs.", valueName: "t"))
    var steps: Int?

    @Option(help: "The method that proves epsilon.")
    var accountant = PrivacyAccountant.pld

    @Option(
        help: ArgumentHelp(
            "Repeats a run's sampling and noise. NOT PRIVATE: whoever knows the seed can take the noise away.",
            valueName: "seed"))
    var seed: UInt64?

    func validate() throws { try validating(request.check) }

    /// - Throws: `ValidationError` if it is not said how private the run is to be.
    func checkStated(mode: ClippingMode) throws {
        try validating { () throws(UsageError) in try request.checkStated(mode: mode) }
    }

    var request: PrivacyRequest {
        var request = PrivacyRequest()
        request.epsilon = epsilon
        request.delta = delta
        request.noiseMultiplier = noiseMultiplier
        request.datasetSize = datasetSize
        request.batchSize = batchSize
        request.sampler = sampler
        request.largestBatch = largestBatch
        request.noise = noise
        request.bands = bands
        request.epochs = epochs
        request.steps = steps
        request.accountant = accountant
        request.seed = seed
        return request
    }
}

/// Makes an error of what was asked for one of the command line, which prints how the command is used.
func validating(_ check: () throws(UsageError) -> Void) throws(ValidationError) {
    do { try check() } catch { throw ValidationError(error.description) }
}

extension PrivacyRequest.Sampler: ExpressibleByArgument {}
extension PrivacyRequest.Noise: ExpressibleByArgument {}
extension PrivacyAccountant: ExpressibleByArgument {}
