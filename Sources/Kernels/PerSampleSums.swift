/// out:[n] = (out if `accumulate`) + sum_b factors[b] * perSample[b] for perSample:[B,n] (any gradient kept per sample).
///
/// `factors`:[B]; nil means all ones. A sample whose factor is zero is not read, because it may hold NaN. The samples are
/// added in their order, whatever the thread count.
public func weightedSum(
    perSample: UnsafePointer<Float>, factors: UnsafePointer<Float>? = nil, batch: Int, n: Int,
    into out: UnsafeMutablePointer<Float>, accumulate: Bool, pool: ThreadPool
) {
    let active = activeSamples(factors, batch)
    // A stretch of out that stays in the first-level cache while all samples pass.
    let stretch = 2048
    pool.forEach((n + stretch - 1) / stretch) { index, _ in
        let start = index * stretch
        let count = min(stretch, n - start)
        if !accumulate { (out + start).update(repeating: 0, count: count) }
        for sample in active { addScaled(out + start, factors?[sample] ?? 1, perSample + sample * n + start, count) }
    }
}

/// squaredNorms[b] += ||perSample[b]||^2 for perSample:[B,n], in double precision.
public func squaredNorms(
    perSample: UnsafePointer<Float>, batch: Int, n: Int, into squaredNorms: UnsafeMutablePointer<Double>,
    pool: ThreadPool
) {
    pool.forRanges(batch, grain: max(1, 16384 / max(1, n))) { range, _ in
        for sample in range { squaredNorms[sample] += sumOfSquares(perSample + sample * n, n) }
    }
}
