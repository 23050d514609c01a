import Glibc

/// The two output distributions of one Poisson-subsampled Gaussian step that are hardest to tell apart:
/// U = N(0, sigma^2) without the privacy unit and V = (1 - q) N(0, sigma^2) + q N(1, sigma^2) with it.
///
/// Losses are functions of the log likelihood ratio at x,
///
///     lambda(x) = log V(x) / U(x) = log(1 - q + q exp((2 x - 1) / (2 sigma^2))),
///
/// which increases with x. Where the unit is removed the loss is lambda with x drawn from V; where it is added,
/// -lambda with x drawn from U (Zhu, Dong and Wang, "Optimal Accounting of Differential Privacy via Characteristic
/// Function", 2022, theorem 11).
struct SampledGaussianLoss: Hashable {
    /// q, in 0 < q <= 1.
    let samplingRate: Double
    /// sigma, positive and finite.
    let noiseMultiplier: Double

    func logRatio(_ x: Double) -> Double {
        let exponent = (2 * x - 1) / 2 / noiseMultiplier / noiseMultiplier
        if samplingRate == 1 { return exponent }
        if exponent < 500 { return log1p(samplingRate * expm1(exponent)) }
        return exponent + log(samplingRate + (1 - samplingRate) * exp(-exponent))
    }

    /// The x at which the log likelihood ratio is `logRatio`; -infinity below the least ratio.
    func position(_ logRatio: Double) -> Double {
        let variance = noiseMultiplier * noiseMultiplier
        if samplingRate == 1 { return variance * logRatio + 0.5 }
        let remaining = 1 - samplingRate
        let exponent: Double
        if logRatio < 1 {
            let weighted = expm1(logRatio) + samplingRate
            exponent = weighted > 0 ? log(weighted / samplingRate) : -.infinity
        } else {
            exponent = logRatio + log1p(-remaining * exp(-logRatio)) - log(samplingRate)
        }
        return variance * exponent + 0.5
    }

    /// log U(x).
    func logDensity(_ x: Double) -> Double {
        let t = x / noiseMultiplier
        return -t * t / 2 - log(noiseMultiplier) - 0.5 * log(2 * Double.pi)
    }

    /// log U(X < x), and log of the ratio of V(X < x) to it.
    func logLowerMass(_ x: Double) -> (u: Double, ratio: Double) {
        let u = logNormalCDF(x / noiseMultiplier)
        let difference = logNormalCDF((x - 1) / noiseMultiplier) - u
        return (u, samplingRate == 1 ? difference : log1p(samplingRate * expm1(difference)))
    }

    /// U(X > x) and V(X > x).
    func upperMasses(_ x: Double) -> (u: Double, v: Double) {
        let u = exp(logNormalCDF(-x / noiseMultiplier))
        let shifted = exp(logNormalCDF((1 - x) / noiseMultiplier))
        return (u, (1 - samplingRate) * u + samplingRate * shifted)
    }

    /// Where all but `tail` of either distribution lies, on either side.
    func support(tail: Double) -> ClosedRange<Double> {
        let logTail = log(tail)
        var (low, high) = (0.0, 60.0)
        while high - low > 1e-3 {
            let middle = (low + high) / 2
            if logNormalCDF(-middle) > logTail { low = middle } else { high = middle }
        }
        return (-high * noiseMultiplier)...(1 + high * noiseMultiplier)
    }

    /// The width of outcomes, one hundredth of that over which densities and ratios vary, within which merging or
    /// splitting them changes the variance of losses by less than one part in 10^4.
    var resolution: Double { 0.01 * noiseMultiplier * min(1, noiseMultiplier) }

    /// Cuts a range into panels over which densities and ratios are so smooth that eight Gauss-Legendre nodes leave an
    /// error near rounding.
    ///
    /// Densities vary over sigma; the ratio has branch points at a distance of pi sigma^2 from `crossover`, where the
    /// sampled unit's density takes over, and varies fast above it.
    func forEachPanel(_ range: ClosedRange<Double>, _ body: (_ start: Double, _ end: Double) -> Void) {
        let variance = noiseMultiplier * noiseMultiplier
        let crossover =
            samplingRate == 1 ? -Double.infinity : variance * (log1p(-samplingRate) - log(samplingRate)) + 0.5
        var start = range.lowerBound
        while start < range.upperBound {
            let distance = start < crossover ? max(variance, (crossover - start) / 2) : variance
            let end = min(range.upperBound, start + min(0.5 * noiseMultiplier, distance))
            guard end > start else { return }
            body(start, end)
            start = end
        }
    }

    /// Visits quadrature nodes of a range: x, and the width that the node stands for.
    ///
    /// A range much narrower than one panel takes three nodes.
    @inline(__always)
    func forEachNode(_ range: ClosedRange<Double>, _ body: (_ x: Double, _ weight: Double) -> Void) {
        let width = range.upperBound - range.lowerBound
        let isNarrow = width < 0.02 * noiseMultiplier * min(1, noiseMultiplier)
        if isNarrow {
            let centre = (range.lowerBound + range.upperBound) / 2
            for (node, weight) in Self.three { body(centre + width / 2 * node, width / 2 * weight) }
        } else {
            forEachPanel(range) { start, end in
                let (centre, half) = ((start + end) / 2, (end - start) / 2)
                for (node, weight) in Self.eight { body(centre + half * node, half * weight) }
            }
        }
    }

    private static let three = GaussLegendre.rule(3)
    private static let eight = GaussLegendre.rule(8)
}
