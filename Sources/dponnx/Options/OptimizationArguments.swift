public import ArgumentParser
public import DPONNX

/// How the private gradient moves the weights.
struct OptimizationArguments: ParsableArguments {
    @Option(help: "The update rule.")
    var optimizer = Rule.sgd

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

    @Option(help: ArgumentHelp("Weight decay; decoupled with adamw.", valueName: "lambda"))
    var weightDecay = 0.0

    @Option(help: ArgumentHelp("Export the moving average of the weights with this decay.", valueName: "decay"))
    var ema: Double?

    enum Rule: String, ExpressibleByArgument, CaseIterable { case sgd, momentum, adam, adamw }

    func validate() throws {
        if let learningRate, !(learningRate > 0 && learningRate.isFinite) {
            throw ValidationError("--learning-rate must be positive and finite")
        }
        guard warmupSteps >= 0 else { throw ValidationError("--warmup-steps must not be negative") }
        for (name, value) in [("momentum", momentum), ("beta1", beta1), ("beta2", beta2), ("ema", ema)] {
            if let value, !(value >= 0 && value < 1) { throw ValidationError("--\(name) must lie in 0..<1") }
        }
        guard weightDecay >= 0, weightDecay.isFinite else {
            throw ValidationError("--weight-decay must not be negative")
        }
        if momentum != nil, optimizer != .momentum {
            throw ValidationError("--momentum belongs to --optimizer momentum")
        }
        if beta1 != nil || beta2 != nil, optimizer != .adam, optimizer != .adamw {
            throw ValidationError("--beta1 and --beta2 belong to --optimizer adam or adamw")
        }
    }

    var rule: UpdateRule {
        switch optimizer {
        case .sgd: .sgd
        case .momentum: .momentum(momentum ?? 0.9)
        case .adam: .adam(beta1: beta1 ?? 0.9, beta2: beta2 ?? 0.999)
        case .adamw: .adamW(beta1: beta1 ?? 0.9, beta2: beta2 ?? 0.999)
        }
    }

    func learningRates(steps: Int) -> LearningRateSchedule {
        let isAdam = optimizer == .adam || optimizer == .adamw
        return LearningRateSchedule(
            schedule, base: learningRate ?? (isAdam ? 0.001 : 0.1), warmupSteps: warmupSteps, totalSteps: steps)
    }
}

extension LearningRateSchedule.Shape: ExpressibleByArgument {}
