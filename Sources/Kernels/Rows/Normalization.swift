import CVectorKernels

extension Rows {
    /// xhat = (x - mean) * rstd for each of `rows` rows of n elements, rstd = 1 / sqrt(variance + epsilon), the
    /// variance over n (not n - 1) in a second pass. `centered` is layer, group and instance normalisation; without it
    /// (RMS normalisation) the mean is 0 and the variance is the mean square. `xhat` may be x. `xhat` nil computes the
    /// statistics only.
    public static func normalize(
        _ x: UnsafePointer<Float>, into xhat: UnsafeMutablePointer<Float>?, rstd: UnsafeMutablePointer<Float>,
        mean: UnsafeMutablePointer<Float>? = nil, rows: Int, n: Int, epsilon: Float, centered: Bool,
        pool: ThreadPool
    ) {
        pool.forRanges(rows, grain: rowGrain(n)) { range, _ in
            let row = range.lowerBound
            vector.pointee.normalize(
                x + row * n, xhat.map { $0 + row * n }, rstd + row, mean.map { $0 + row }, Int64(range.count),
                Int64(n), epsilon, centered ? 1 : 0)
        }
    }

    /// out = dloss/dx from g = dloss/dxhat, and the xhat and rstd of `normalize`:
    /// rstd * (g - mean(g) - xhat * mean(g * xhat)), without mean(g) where not centred. `out` may be g or xhat.
    public static func normalizeGradient(
        gradient g: UnsafePointer<Float>, xhat: UnsafePointer<Float>, rstd: UnsafePointer<Float>,
        into out: UnsafeMutablePointer<Float>, rows: Int, n: Int, centered: Bool, pool: ThreadPool
    ) {
        pool.forRanges(rows, grain: rowGrain(n)) { range, _ in
            let row = range.lowerBound
            vector.pointee.normalize_gradient(
                g + row * n, xhat + row * n, rstd + row, out + row * n, Int64(range.count), Int64(n),
                centered ? 1 : 0)
        }
    }
}
