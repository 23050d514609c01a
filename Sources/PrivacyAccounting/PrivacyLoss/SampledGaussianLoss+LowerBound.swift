import Glibc

extension SampledGaussianLoss {
    /// Losses on a grid that are at most as revealing as the true ones.
    ///
    /// Outcomes are merged into bins, which is post-processing, and cut so that log(V/U) of every bin is exactly a grid
    /// point: bin after bin, each ends where the masses since the end of the last one have the ratio of the next point.
    /// The grid is shifted so that this holds for the first bin too, which may hold nearly everything. Points closer than
    /// `resolution` are passed over. Only what is left over at the top moves to a lesser loss.
    ///
    /// - Parameter offset: a loss that shall lie on the grid, at which the first bin may move to lesser losses, too; nil to
    ///   choose one.
    func lowerBound(spacing: Double, tail: Double, offset: Double? = nil) -> StepLosses {
        let support = support(tail: tail)
        let end = support.upperBound
        var start = firstBin(spacing: spacing, in: support)
        let first = logLowerMass(start)
        var u = [exp(first.u)]
        var v = [exp(first.u + first.ratio)]
        var base = 0
        if let offset {
            base = Int(((first.ratio - offset) / spacing).rounded(.down))
            u.insert(0, at: 0)
            v.append(0)
        }
        let offset = offset ?? first.ratio
        var knot = base + u.count - 1
        while start < end {
            let least = Int(((logRatio(start) - offset) / spacing).rounded(.down)) + 1
            let next = max(knot + 1, least, Int((logRatio(start + resolution / 2) - offset) / spacing))
            u += Array(repeating: 0, count: next - knot)
            v += Array(repeating: 0, count: next - knot)
            let ratio = offset + Double(next) * spacing
            if let stop = binEnd(from: start, ratio: ratio, end: end) {
                let masses = masses(of: start...stop)
                u[next - base] = masses.u
                v[next - base] = masses.v
                start = stop
                knot = next
            } else {
                let masses = masses(of: start...end)
                u[next - base] = masses.u
                v[next - base - 1] += masses.v
                break
            }
        }
        return StepLosses(
            removing: LossMasses(offset: offset, spacing: spacing, firstIndex: base, masses: v),
            adding: LossMasses(
                offset: -offset, spacing: spacing, firstIndex: 1 - u.count - base, masses: u.reversed()))
    }

    /// The end of the first bin: where the ratio is half a spacing above that of everything below.
    private func firstBin(spacing: Double, in support: ClosedRange<Double>) -> Double {
        var (low, high) = (support.lowerBound, support.upperBound)
        for _ in 0..<200 {
            let middle = (low + high) / 2
            guard middle > low, middle < high else { break }
            if logRatio(middle) - logLowerMass(middle).ratio < spacing / 2 { low = middle } else { high = middle }
        }
        return high
    }

    /// Where the masses from `start` on have the ratio exp(`ratio`), below `end`; nil if they do not reach it.
    private func binEnd(from start: Double, ratio: Double, end: Double) -> Double? {
        let scale = logDensity(start)
        /// The integral of U (exp(lambda - ratio) - 1) since `start`, which falls up to `lowest` and rises from there.
        func excess(_ x: Double) -> Double {
            var sum = 0.0
            forEachNode(start...x) { sum += $1 * exp(logDensity($0) - scale) * expm1(logRatio($0) - ratio) }
            return sum
        }
        let lowest = max(start, position(ratio))
        guard lowest < end else { return nil }
        var (low, high) = (lowest, end)
        // Reflecting the start at the grid point is right but for the curvature of the masses.
        var x = position(2 * ratio - logRatio(start))
        var knowsHigh = false
        for _ in 0..<200 {
            if !(x > low && x < high) {
                if !knowsHigh {
                    guard excess(end) >= 0 else { return nil }
                    knowsHigh = true
                }
                x = (low + high) / 2
                guard x > low, x < high else { return high }
            }
            let value = excess(x)
            if value > 0 { (high, knowsHigh) = (x, true) } else { low = x }
            let slope = exp(logDensity(x) - scale) * expm1(logRatio(x) - ratio)
            let step = value / slope
            if abs(step) <= 1e-10 * (x - start) { return x }
            x -= step
        }
        return x
    }

    private func masses(of range: ClosedRange<Double>) -> (u: Double, v: Double) {
        var (u, v) = (0.0, 0.0)
        forEachNode(range) { x, weight in
            let logMass = logDensity(x)
            u += weight * exp(logMass)
            v += weight * exp(logMass + logRatio(x))
        }
        return (u, v)
    }
}
