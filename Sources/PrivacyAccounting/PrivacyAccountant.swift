/// The methods that turn a list of events into an upper bound on (epsilon, delta).
///
/// A further method is one more case here; calibration and the privacy statement follow from it.
public enum PrivacyAccountant: String, Hashable, Sendable, CaseIterable {
    /// Privacy loss distributions, composed numerically: the tightest bound.
    case pld
    /// Renyi differential privacy: moments of the privacy loss at a fixed set of orders.
    case rdp

    /// The smallest epsilon this method can prove for `events` at `delta`.
    ///
    /// - Precondition: `delta` lies in 0...1.
    public func epsilon(of events: [PrivacyEvent], delta: Double) -> PrivacyBound {
        switch self {
        case .pld: PrivacyBound(epsilon: PrivacyLossAccountant(events).epsilon(delta: delta).upper, delta: delta)
        case .rdp: RenyiAccountant(events).epsilon(delta: delta)
        }
    }

    /// The smallest delta this method can prove for `events` at `epsilon`.
    ///
    /// - Precondition: `epsilon` is not negative.
    public func delta(of events: [PrivacyEvent], epsilon: Double) -> PrivacyBound {
        switch self {
        case .pld: PrivacyBound(epsilon: epsilon, delta: PrivacyLossAccountant(events).delta(epsilon: epsilon).upper)
        case .rdp: RenyiAccountant(events).delta(epsilon: epsilon)
        }
    }
}

/// An (epsilon, delta) pair and how it was found.
public struct PrivacyBound: Hashable, Sendable {
    /// Infinite where nothing can be promised.
    public var epsilon: Double
    public var delta: Double
    /// The Renyi order at which the bound is attained, if the method has orders.
    public var order: Double?
    /// False for an approximation, from which no guarantee follows.
    public var isUpperBound: Bool

    public init(epsilon: Double, delta: Double, order: Double? = nil, isUpperBound: Bool = true) {
        self.epsilon = epsilon
        self.delta = delta
        self.order = order
        self.isUpperBound = isUpperBound
    }
}
