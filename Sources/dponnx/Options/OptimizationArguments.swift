public import ArgumentParser
public import DPONNX

/// How the private gradient moves the weights.
struct OptimizationArguments: ParsableArguments {
    @Option(help: "The update rule.")
    var optimizer = OptimizationRequest.Rule.sgd

    @Option(
        help: ArgumentHelp(
            "Learning rate; default: 0.1 for sgd and momentum, 0.001 for adam and adamw.", valueName: "rate"))
    var learningRate: Double?

    @Option(help: "How the learning rate goes on after the warm-up.")
    var schedule = LearningRateSchedule.Shape.constant

    @Option(help: ArgumentHelp("Steps over which the learning rate rises from zero.", valueName: "n"))
    var warmupSteps = 0

    @Option(help: ArgumentHelp("Momentum; default 0.9 with --optimizer momentum.", valueName: "mu"))
    var momentum: Double?

    @Option(help: ArgumentHelp("Decay of Adam's first moment; default 0.9.", valueName: "beta"))
    var beta1: Double?

    @Option(help: ArgumentHelp("Decay of Adam's second moment; default 0.999.", valueName: "beta"))
    var beta2: Double?

    @Flag(
        help: """
            Take the variance of the privacy noise off Adam's second moment, which it makes too large (Tang et al. 2023).
            """)
    var adamBiasCorrection = false

    @Option(
        help: ArgumentHelp(
            "Least value of the corrected second moment, with --adam-bias-correction; default 1e-8.", valueName: "floor"
        ))
    var adamFloor: Double?

    @Option(help: ArgumentHelp("Weight decay; decoupled with adamw.", valueName: "lambda"))
    var weightDecay = 0.0

    @Option(help: ArgumentHelp("Export the moving average of the weights with this decay.", valueName: "decay"))
    var ema: Double?

    func validate() throws { try validating(request.check) }

    var request: OptimizationRequest {
        var request = OptimizationRequest()
        request.optimizer = optimizer
        request.learningRate = learningRate
        request.schedule = schedule
        request.warmupSteps = warmupSteps
        request.momentum = momentum
        request.beta1 = beta1
        request.beta2 = beta2
        request.weightDecay = weightDecay
        request.averageDecay = ema
        request.adamBiasCorrection = adamBiasCorrection
        request.adamFloor = adamFloor
        return request
    }
}

extension OptimizationRequest.Rule: ExpressibleByArgument {}
extension LearningRateSchedule.Shape: ExpressibleByArgument {}
