/// How the private gradient moves the weights, as a user states it.
public struct OptimizationRequest: Sendable, Hashable {
    public enum Rule: String, Sendable, CaseIterable { case sgd, momentum, adam, adamw }

    public var optimizer = Rule.sgd
    /// Nil for 0.1 with sgd and momentum, 0.001 with adam and adamw.
    public var learningRate: Double?
    public var schedule = LearningRateSchedule.Shape.constant
    public var warmupSteps = 0
    public var momentum: Double?
    public var beta1: Double?
    public var beta2: Double?
    public var weightDecay = 0.0
    /// Decay of the moving average of weights that is exported; nil for the last weights.
    public var averageDecay: Double?

    /// Whether the variance of the privacy noise is taken off Adam's second moment.
    public var adamBiasCorrection = false
    /// Least value of the corrected second moment; nil for 1e-8.
    public var adamFloor: Double?

    public init() {}

    /// - Throws: `UsageError` if a value is out of range or belongs to another rule.
    public func check() throws(UsageError) {
        try require(learningRate.map { $0 > 0 && $0.isFinite }, "--learning-rate must be positive and finite")
        try require(warmupSteps >= 0, "--warmup-steps must not be negative")
        for (name, value) in [("momentum", momentum), ("beta1", beta1), ("beta2", beta2), ("ema", averageDecay)] {
            try require(value.map { $0 >= 0 && $0 < 1 }, "--\(name) must lie in 0..<1")
        }
        try require(weightDecay >= 0 && weightDecay.isFinite, "--weight-decay must not be negative")
        try require(momentum == nil || optimizer == .momentum, "--momentum belongs to --optimizer momentum")
        try require(
            (beta1 == nil && beta2 == nil) || isAdam, "--beta1 and --beta2 belong to --optimizer adam or adamw")
        try require(!adamBiasCorrection || isAdam, "--adam-bias-correction belongs to --optimizer adam or adamw")
        try require(
            adamFloor.map { adamBiasCorrection && $0 > 0 && $0.isFinite },
            "--adam-floor is a positive number that goes with --adam-bias-correction")
    }

    private var isAdam: Bool { optimizer == .adam || optimizer == .adamw }

    public var rule: UpdateRule {
        switch optimizer {
        case .sgd: .sgd
        case .momentum: .momentum(momentum ?? 0.9)
        case .adam: .adam(beta1: beta1 ?? 0.9, beta2: beta2 ?? 0.999)
        case .adamw: .adamW(beta1: beta1 ?? 0.9, beta2: beta2 ?? 0.999)
        }
    }

    public var noiseFloor: Double? { adamBiasCorrection ? adamFloor ?? 1e-8 : nil }

    public func learningRates(steps: Int) -> LearningRateSchedule {
        LearningRateSchedule(
            schedule, base: learningRate ?? (isAdam ? 0.001 : 0.1), warmupSteps: warmupSteps, totalSteps: steps)
    }
}
