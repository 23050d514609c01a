import ArgumentParser
import DPONNX

/// Whether C follows the gradients' norms.
struct AdaptiveClippingArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Let C follow this quantile of the gradients' norms, from --clip-norm on, by noisy counts that are part of "
                + "each step's cost (Andrew et al. 2021).", valueName: "quantile"))
    var adaptiveClipping: Double?

    @Option(help: ArgumentHelp("How fast log C moves; default 0.2.", valueName: "eta"))
    var adaptiveClippingRate: Double?

    @Option(
        help: ArgumentHelp(
            "Standard deviation of the counts' noise, in samples; default: B/20, or twice the noise multiplier if larger.",
            valueName: "sigma_b"))
    var countNoise: Double?

    func validate() throws {
        guard adaptiveClipping != nil || (adaptiveClippingRate == nil && countNoise == nil) else {
            throw ValidationError("--adaptive-clipping-rate and --count-noise need --adaptive-clipping QUANTILE")
        }
        try validating { () throws(UsageError) in try request?.check() }
    }

    var request: AdaptiveClippingRequest? {
        adaptiveClipping.map {
            AdaptiveClippingRequest(quantile: $0, rate: adaptiveClippingRate, countNoise: countNoise)
        }
    }
}
