import Glibc

/// log(A_a - 1) of ``SampledGaussianDivergence`` at orders that are not integers, by Gauss-Legendre quadrature.
///
/// In units t = z / sigma the integrand is F(w) exp(-t^2 / 2) / sqrt(2 pi) with F(w) = (1 + w)^a - 1 - a w and
/// w = q (exp(L) - 1), L = t / sigma - 1 / (2 sigma^2). It is positive, and analytic but for branch points at
/// t* +- i pi sigma, where t* is the point at which q exp(L) = 1 - q. It can peak at 0, at 2 / sigma
/// (where F ~ w^2), at a / sigma (where F ~ w^a) and at t*, where one gives way to the other; around each it falls
/// at least as fast as a standard normal density. Panels of 16 nodes cover these places and shrink towards t* in
/// proportion to the distance of the branch points, which leaves an error near rounding. All orders share the nodes.
struct SampledGaussianIntegral {
    private let samplingRate: Double
    private let noiseMultiplier: Double
    private let orders: [Double]

    init(_ mechanism: SampledGaussianDivergence, orders: [Double]) {
        samplingRate = mechanism.samplingRate
        noiseMultiplier = mechanism.noiseMultiplier
        self.orders = orders
    }

    func logExcessMoments() -> [Double] {
        guard !orders.isEmpty else { return [] }
        var sums = [LogSum](repeating: LogSum(), count: orders.count)
        for panel in panels() {
            let centre = (panel.lowerBound + panel.upperBound) / 2
            let half = (panel.upperBound - panel.lowerBound) / 2
            for (node, weight) in GaussLegendre.sixteen {
                let t = centre + half * node
                let logDensity = log(weight * half) - t * t / 2 - 0.5 * log(2 * Double.pi)
                let ratio = LikelihoodRatio(
                    samplingRate: samplingRate,
                    logRatio: (t - 1 / (2 * noiseMultiplier)) / noiseMultiplier)
                for index in orders.indices {
                    ratio.addExcess(order: orders[index], logWeight: logDensity, to: &sums[index])
                }
            }
        }
        return sums.map(\.value)
    }

    /// exp(-reach^2 / 2) is far below the rounding of a sum whose largest term is 1.
    private static let reach = 9.5

    private func panels() -> [ClosedRange<Double>] {
        let crossover =
            noiseMultiplier * (log1p(-samplingRate) - log(samplingRate)) + 1 / (2 * noiseMultiplier)
        let peaks = ([0, 2, crossover * noiseMultiplier] + orders).map { $0 / noiseMultiplier }.sorted()
        var result: [ClosedRange<Double>] = []
        var start = -Double.infinity
        for peak in peaks {
            start = max(start, peak - Self.reach)
            let end = peak + Self.reach
            while start < end {
                let width = min(1.5, max(4 * noiseMultiplier, abs(crossover - start) / 2))
                let next = min(start + width, end)
                result.append(start...next)
                start = next
            }
        }
        return result
    }
}

/// 1 + w, the ratio of the two output densities at one point, in the forms that keep its digits.
private struct LikelihoodRatio {
    /// w; infinite where it overflows.
    let excess: Double
    /// log(1 + w).
    let logValue: Double
    /// log(w), where w > 0.
    let logExcess: Double

    /// - Parameter logRatio: L, the log likelihood ratio without sampling.
    init(samplingRate: Double, logRatio: Double) {
        if logRatio > 0 {
            logExcess = log(samplingRate) + logRatio + log1p(-exp(-logRatio))
            logValue = softplus(logExcess)
            excess = exp(logExcess)
        } else {
            logExcess = -.infinity
            excess = samplingRate * expm1(logRatio)
            logValue = log1p(excess)
        }
    }

    /// Adds exp(logWeight) ((1 + w)^order - 1 - order w).
    func addExcess(order: Double, logWeight: Double, to sum: inout LogSum) {
        let power = order * logValue
        if power > 1 {
            guard power + logWeight > sum.largest - 60 else { return }
            let linear = softplus(log(order) + logExcess)
            sum.add(logWeight + power + log1p(-exp(linear - power)))
        } else if order * abs(excess) > 0.1 {
            sum.add(logWeight + log(expm1(power) - order * excess))
        } else if excess != 0 {
            // The binomial series from its quadratic term on: expm1 and the linear term would cancel here.
            var term = order * (order - 1) / 2 * excess * excess
            let leading = term
            var total = term
            var k = 2.0
            while abs(term) > 1e-18 * leading {
                term *= (order - k) / (k + 1) * excess
                total += term
                k += 1
            }
            if total > 0 { sum.add(logWeight + log(total)) }
        }
    }
}

/// Nodes and weights on -1...1.
enum GaussLegendre {
    static let sixteen = rule(16)

    /// Roots of the Legendre polynomial of degree `count`, by Newton's method on its recurrence.
    static func rule(_ count: Int) -> [(node: Double, weight: Double)] {
        (0..<count).map { index in
            var x = cos(Double.pi * (Double(index) + 0.75) / (Double(count) + 0.5))
            var slope = 0.0
            for _ in 0..<8 {
                var (previous, current) = (1.0, x)
                for degree in 2...count {
                    let n = Double(degree)
                    (previous, current) = (current, ((2 * n - 1) * x * current - (n - 1) * previous) / n)
                }
                slope = Double(count) * (x * current - previous) / (x * x - 1)
                x -= current / slope
            }
            return (x, 2 / ((1 - x * x) * slope * slope))
        }
    }
}
