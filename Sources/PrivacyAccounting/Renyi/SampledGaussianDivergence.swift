import Glibc

/// The Renyi divergence of one Poisson-subsampled Gaussian mechanism (Mironov, Talwar and Zhang, "Renyi
/// Differential Privacy of the Sampled Gaussian Mechanism", 2019).
///
/// At order a it is log(A_a) / (a - 1), where, for z drawn from N(0, sigma^2),
///
///     A_a = E[(1 + w)^a],   w = q (exp((2 z - 1) / (2 sigma^2)) - 1),   E[w] = 0.
///
/// What is computed is A_a - 1 = E[(1 + w)^a - 1 - a w], of which every term is positive, so that nothing cancels
/// however close A_a is to 1: a rate of 1e-9 costs no digits. At an integer order the expectation is the
/// finite sum over k >= 2 of Binomial(a, q)(k) (exp((k^2 - k) / (2 sigma^2)) - 1); in between it is integrated.
struct SampledGaussianDivergence {
    let samplingRate: Double
    let noiseMultiplier: Double

    /// With noise below this, sampling changes the divergence by less than one part in a thousand, and the
    /// divergence without sampling, which is never smaller, stands for it.
    private static let negligibleNoise = 1e-3

    /// The divergences at `orders`, in nats.
    func divergences(orders: [Double]) -> [Double] {
        precondition((0...1).contains(samplingRate), "a sampling rate lies in 0...1")
        precondition(noiseMultiplier >= 0, "a noise multiplier is not negative")
        if samplingRate == 0 || noiseMultiplier == .infinity { return orders.map { _ in 0 } }
        if noiseMultiplier == 0 { return orders.map { _ in .infinity } }
        if samplingRate == 1 || noiseMultiplier < Self.negligibleNoise {
            return orders.map { $0 / 2 / noiseMultiplier / noiseMultiplier }
        }
        let fractional = orders.filter { $0 != $0.rounded() }
        var integrals = SampledGaussianIntegral(self, orders: fractional).logExcessMoments()[...]
        return orders.map { order in
            let logExcess = order == order.rounded() ? logExcessMoment(integer: Int(order)) : integrals.removeFirst()
            return softplus(logExcess) / (order - 1)
        }
    }

    /// log(A_a - 1) at an integer order.
    private func logExcessMoment(integer order: Int) -> Double {
        let logRate = log(samplingRate)
        let logRest = log1p(-samplingRate)
        var total = LogSum()
        var logBinomial = log(Double(order))
        for k in stride(from: 2, through: order, by: 1) {
            logBinomial += log(Double(order - k + 1) / Double(k))
            let exponent = Double(k) * Double(k - 1) / 2 / noiseMultiplier / noiseMultiplier
            let logExpm1 = exponent > 40 ? exponent : log(expm1(exponent))
            total.add(logBinomial + Double(k) * logRate + Double(order - k) * logRest + logExpm1)
        }
        return total.value
    }
}

/// log(1 + exp(x)).
func softplus(_ x: Double) -> Double {
    x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))
}

/// log of a sum of positive terms, each given by its logarithm.
struct LogSum {
    private(set) var largest = -Double.infinity
    private var scaled = 0.0

    mutating func add(_ logTerm: Double) {
        if logTerm <= largest {
            if logTerm > largest - 60 { scaled += exp(logTerm - largest) }
        } else if logTerm == .infinity {
            largest = .infinity
            scaled = 1
        } else {
            scaled = scaled * exp(largest - logTerm) + 1
            largest = logTerm
        }
    }

    var value: Double { scaled > 0 ? largest + log(scaled) : -.infinity }
}
