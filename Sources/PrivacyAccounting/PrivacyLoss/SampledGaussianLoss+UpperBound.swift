import Glibc

extension SampledGaussianLoss {
    /// Losses on a grid that are at least as revealing as the true ones: "connect the dots" (Doroshenko, Ghazi, Kamath,
    /// Kumar and Manurangsi, "Connect the Dots: Tighter Discrete Approximations of Privacy Loss Distributions", 2022).
    ///
    /// An outcome between two grid points goes to both, in the shares that keep its mass under U and under V. The
    /// true pair is a post-processing of the result. Points closer than `resolution` are passed over. Outcomes outside `support(tail:)` move to a greater loss.
    ///
    /// - Parameter offset: a loss that shall lie on the grid; nil to choose one.
    func upperBound(spacing: Double, tail: Double, offset: Double? = nil) -> StepLosses {
        let support = support(tail: tail)
        let (low, high) = (logRatio(support.lowerBound), logRatio(support.upperBound))
        // With a grid point at the least ratio the many outcomes close to it stay there.
        let offset = offset ?? (samplingRate < 1 ? max(log1p(-samplingRate), low - spacing) : low)
        let first = Int(((low - offset) / spacing).rounded(.down))
        let cells = Int(((high - offset) / spacing).rounded(.down)) - first + 1
        var u = [Double](repeating: 0, count: cells + 1)
        var v = u
        var start = support.lowerBound
        var cell = 0
        while cell < cells {
            let knot = offset + Double(first + cell) * spacing
            let next = min(cells, max(cell + 1, cell + Int((logRatio(start + resolution) - knot) / spacing)))
            let width = Double(next - cell) * spacing
            let end = min(support.upperBound, max(start, position(knot + width)))
            let shares = shares(of: start...end, above: knot, spacing: width)
            u[cell] += shares.lower.u
            v[cell] += shares.lower.v
            u[next] += shares.upper.u
            v[next] += shares.upper.v
            (start, cell) = (end, next)
        }
        let above = upperMasses(support.upperBound)
        let below = logLowerMass(support.lowerBound)
        v[1] += exp(below.u + below.ratio)
        u[cells - 1] += above.u
        return StepLosses(
            removing: LossMasses(
                offset: offset, spacing: spacing, firstIndex: first, masses: v, infinite: above.v),
            adding: LossMasses(
                offset: -offset, spacing: spacing, firstIndex: -(first + cells), masses: u.reversed(),
                infinite: exp(below.u)))
    }

    private typealias Masses = (u: Double, v: Double)

    /// The masses that the outcomes of `range`, whose ratios lie between `knot` and `knot + spacing`, bring to either.
    ///
    /// With d = lambda - knot, U is shared as (1 - exp(d - h)) : exp(d - h) (1 - exp(-d)), V as
    /// exp(-d) (1 - exp(d - h)) : (1 - exp(-d)), both over 1 - exp(-h).
    private func shares(of range: ClosedRange<Double>, above knot: Double, spacing: Double) -> (
        lower: Masses, upper: Masses
    ) {
        var (lower, upper) = ((u: 0.0, v: 0.0), (u: 0.0, v: 0.0))
        forEachNode(range) { x, weight in
            let ratio = logRatio(x)
            let logMass = logDensity(x)
            let (u, v) = (weight * exp(logMass), weight * exp(logMass + ratio))
            let distance = min(spacing, max(0, ratio - knot))
            let (down, up) = (expm1(distance - spacing), expm1(-distance))
            lower.u += u * down
            lower.v += v * (1 + up) * down
            upper.u += u * (1 + down) * up
            upper.v += v * up
        }
        let whole = expm1(-spacing)
        return ((lower.u / whole, lower.v / whole), (upper.u / whole, upper.v / whole))
    }
}
