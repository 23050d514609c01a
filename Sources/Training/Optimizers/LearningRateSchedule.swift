import Glibc

/// The learning rate as a function of the step.
///
/// Steps count from 0 to `totalSteps - 1`. During warm-up, t < W, the rate is `base * (t + 1) / W`: it rises linearly
/// from 0, which no step uses, and reaches `base` with the last warm-up step. After it, with
/// s = (t - W) / (totalSteps - W), it is
/// - constant: base
/// - linear: base * (1 - s)
/// - cosine: base * (1 + cos(pi s)) / 2
///
/// so that the first step after warm-up runs at `base`, and the rate would reach 0 at step `totalSteps`, just after the
/// last one.
public struct LearningRateSchedule: Sendable, Hashable {
    public enum Shape: String, Sendable, CaseIterable {
        case constant, linear, cosine
    }

    public let shape: Shape
    public let base: Double
    public let warmupSteps: Int
    public let totalSteps: Int

    public init(_ shape: Shape = .constant, base: Double, warmupSteps: Int = 0, totalSteps: Int) {
        precondition(base >= 0 && base.isFinite, "learning rate must be finite and not negative")
        precondition(warmupSteps >= 0 && totalSteps >= 0, "negative number of steps")
        self.shape = shape
        self.base = base
        self.warmupSteps = warmupSteps
        self.totalSteps = totalSteps
    }

    /// The learning rate of a step; 0 for linear and cosine from step `totalSteps` on.
    public func rate(at step: Int) -> Double {
        precondition(step >= 0)
        if step < warmupSteps { return base * Double(step + 1) / Double(warmupSteps) }
        if shape == .constant { return base }
        if step >= totalSteps { return 0 }
        let progress = Double(step - warmupSteps) / Double(totalSteps - warmupSteps)
        return shape == .linear ? base * (1 - progress) : base * (1 + cos(.pi * progress)) / 2
    }
}
