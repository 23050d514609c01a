public import PrivacyAccounting
public import PrivateGradients

/// Everything that says how a model is trained, apart from the model and its data.
public struct TrainingOptions: Sendable {
    /// Sampler, sensitivity, noise and number of steps: the one source of both the noise and its account.
    public var mechanism: PrivacyMechanism
    /// How gradients are clipped. Its clipping norm is the mechanism's.
    public internal(set) var clipping: ClippingOptions
    public var updateRule: UpdateRule
    public var weightDecay: Double
    public var schedule: LearningRateSchedule
    /// Decay of the moving average of weights that is exported in place of the last ones; nil for the last.
    public var averageDecay: Double?
    /// Adam's second moment is corrected for the noise in it, down to this; nil to leave it.
    public var noiseFloor: Double?

    /// - Parameter clipping: mode, function and style; the clipping norm is taken from `mechanism`.
    public init(
        mechanism: PrivacyMechanism, clipping: ClippingOptions, updateRule: UpdateRule, weightDecay: Double = 0,
        schedule: LearningRateSchedule, averageDecay: Double? = nil, noiseFloor: Double? = nil
    ) {
        var clipping = clipping
        clipping.clippingNorm = mechanism.clippingNorm
        self.mechanism = mechanism
        self.clipping = clipping
        self.updateRule = updateRule
        self.weightDecay = weightDecay
        self.schedule = schedule
        self.averageDecay = averageDecay
        self.noiseFloor = noiseFloor
    }
}
