import Glibc

/// Renyi differential privacy of a composition: one divergence per order, which add up over events.
///
/// Events of different kinds compose freely. The conversion to (epsilon, delta) is Proposition 12 of Canonne,
/// Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020), joined with the bound
/// delta <= sqrt(1 - exp(-KL)) (Bretagnolle and Huber), which alone can prove epsilon = 0.
public struct RenyiAccountant: Hashable, Sendable {
    /// 1.1 to 11 in tenths, 12 to 63, and 128, 256, 512, 1024: the orders at which results of different
    /// accountants are commonly compared.
    public static let defaultOrders: [Double] =
        (1...99).map { 1 + Double($0) / 10 } + (11...63).map(Double.init) + [128, 256, 512, 1024]

    public let orders: [Double]
    /// The composed Renyi divergence at each order, in nats; infinite where there is none.
    public private(set) var divergences: [Double]

    /// - Precondition: `orders` is not empty and each is finite and at least 1.01 (closer to 1 the conversion to
    ///   epsilon loses its digits, and proves nothing of use).
    public init(orders: [Double] = RenyiAccountant.defaultOrders) {
        precondition(!orders.isEmpty && orders.allSatisfy { $0 >= 1.01 && $0.isFinite }, "orders are 1.01 or more")
        self.orders = orders
        divergences = [Double](repeating: 0, count: orders.count)
    }

    public init(_ events: [PrivacyEvent], orders: [Double] = RenyiAccountant.defaultOrders) {
        self.init(orders: orders)
        for event in events { compose(event) }
    }

    /// Adds the cost of `event`.
    public mutating func compose(_ event: PrivacyEvent) {
        guard event.count > 0 else { return }
        switch event.mechanism {
        case .poissonSampledGaussian(let samplingRate, let noiseMultiplier):
            let once = SampledGaussianDivergence(samplingRate: samplingRate, noiseMultiplier: noiseMultiplier)
            add(once.divergences(orders: orders), times: event.count)
        case .truncatedPoissonSampledGaussian(let sampling, let noiseMultiplier):
            add(Self.divergences(sampling, noiseMultiplier, orders: orders), times: event.count)
        }
    }

    /// Of a mixture whose part is public: its moments, exp((a - 1) D), are the mixture of those of the parts.
    private static func divergences(_ sampling: TruncatedPoissonSampling, _ noiseMultiplier: Double, orders: [Double])
        -> [Double]
    {
        let whole = SampledGaussianDivergence(samplingRate: sampling.rate, noiseMultiplier: noiseMultiplier)
            .divergences(orders: orders)
        let truncated = sampling.probability
        if truncated == 0 { return whole }
        let part = SampledGaussianDivergence(samplingRate: sampling.rate, noiseMultiplier: noiseMultiplier / 2)
            .divergences(orders: orders)
        return zip(orders, zip(whole, part)).map { order, divergences in
            // log(1 + tau (exp((a - 1) (D2 - D1)) - 1)) on top of (a - 1) D1, without overflow.
            let difference = (order - 1) * (divergences.1 - divergences.0)
            guard difference.isFinite else { return divergences.1 }
            let excess =
                difference < 1
                ? log1p(truncated * expm1(difference))
                : difference + log(truncated + (1 - truncated) * exp(-difference))
            return divergences.0 + excess / (order - 1)
        }
    }

    /// Adds `count` repetitions of an event whose divergences at ``orders`` are known.
    mutating func add(_ once: [Double], times count: Int) {
        for index in divergences.indices { divergences[index] += Double(count) * once[index] }
    }

    /// The smallest epsilon over all orders.
    ///
    /// - Precondition: `delta` lies in 0...1.
    public func epsilon(delta: Double) -> PrivacyBound {
        precondition((0...1).contains(delta), "delta lies in 0...1")
        var best = PrivacyBound(epsilon: .infinity, delta: delta, order: nil)
        for (order, divergence) in zip(orders, divergences) {
            let epsilon = Self.epsilon(order: order, divergence: divergence, delta: delta)
            if epsilon < best.epsilon { best = PrivacyBound(epsilon: epsilon, delta: delta, order: order) }
        }
        return best
    }

    /// The smallest delta over all orders.
    ///
    /// - Precondition: `epsilon` is not negative.
    public func delta(epsilon: Double) -> PrivacyBound {
        precondition(epsilon >= 0, "epsilon is not negative")
        var best = PrivacyBound(epsilon: epsilon, delta: 1, order: nil)
        for (order, divergence) in zip(orders, divergences) {
            let delta = exp(Self.logDelta(order: order, divergence: divergence, epsilon: epsilon))
            if delta < best.delta { best = PrivacyBound(epsilon: epsilon, delta: delta, order: order) }
        }
        return best
    }

    private static func epsilon(order: Double, divergence: Double, delta: Double) -> Double {
        if divergence == 0 || delta * delta > -expm1(-divergence) { return 0 }
        guard delta > 0 else { return .infinity }
        return max(0, divergence + log1p(-1 / order) - log(delta * order) / (order - 1))
    }

    private static func logDelta(order: Double, divergence: Double, epsilon: Double) -> Double {
        if divergence == 0 { return -.infinity }
        if divergence == .infinity { return 0 }
        let distance = 0.5 * log(-expm1(-divergence))
        return min(distance, (order - 1) * (divergence - epsilon + log1p(-1 / order)) - log(order))
    }
}
