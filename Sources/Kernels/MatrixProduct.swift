import COpenBLAS

/// One matrix product on the calling thread: C[m,n] = alpha * op(A) op(B) + beta * C, row-major.
@inline(__always)
func serialGemm(
    transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Float,
    a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>, ldb: Int,
    beta: Float, c: UnsafeMutablePointer<Float>, ldc: Int
) {
    if m == 0 || n == 0 { return }
    if OneDNN.multiplies(
        transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, b: b, ldb: ldb,
        beta: beta, c: c, ldc: ldc)
    {
        return
    }
    _ = preparedOpenBLAS
    cblas_sgemm(
        CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans,
        Int32(m), Int32(n), Int32(k), alpha, a, Int32(max(lda, 1)), b, Int32(max(ldb, 1)), beta, c, Int32(ldc))
}

/// C[m,n] = alpha * op(A) op(B) + beta * C, all row-major, where op(A) is [m,k] and op(B) is [k,n].
///
/// `lda`, `ldb`, `ldc` are row strides in elements of the matrices as they are stored (A is [k,m] if `transposeA`).
/// With `beta` zero the old C is not read. With `k` zero only `beta` applies. C must not overlap A or B. The result does
/// not depend on the thread count beyond rounding, and is the same in every run of one thread count.
public func gemm(
    transposeA: Bool = false, transposeB: Bool = false, m: Int, n: Int, k: Int, alpha: Float = 1,
    a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>, ldb: Int,
    beta: Float = 0, c: UnsafeMutablePointer<Float>, ldc: Int, pool: ThreadPool
) {
    precondition(m >= 0 && n >= 0 && k >= 0, "negative matrix size \(m)x\(n)x\(k)")
    if m == 0 || n == 0 { return }
    let partition = GemmPartition(m: m, n: n, k: k, threads: pool.threadCount)
    if partition.depth > 1 {
        gemmSplitInDepth(
            transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda,
            b: b, ldb: ldb, beta: beta, c: c, ldc: ldc, parts: partition.depth, pool: pool)
        return
    }
    pool.forEach(partition.rows * partition.columns) { index, _ in
        let rows = evenPart(index / partition.columns, of: partition.rows, count: m)
        let columns = evenPart(index % partition.columns, of: partition.columns, count: n)
        serialGemm(
            transposeA: transposeA, transposeB: transposeB, m: rows.count, n: columns.count, k: k, alpha: alpha,
            a: a + (transposeA ? rows.lowerBound : rows.lowerBound * lda), lda: lda,
            b: b + (transposeB ? columns.lowerBound * ldb : columns.lowerBound), ldb: ldb,
            beta: beta, c: c + rows.lowerBound * ldc + columns.lowerBound, ldc: ldc)
    }
}

/// C small and the common dimension long: each part sums its own stretch of k, and the parts are added in order.
private func gemmSplitInDepth(
    transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Float,
    a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>, ldb: Int,
    beta: Float, c: UnsafeMutablePointer<Float>, ldc: Int, parts: Int, pool: ThreadPool
) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: parts * m * n) { buffer in
        let partial = buffer.baseAddress!
        pool.forEach(parts) { index, _ in
            let depth = evenPart(index, of: parts, count: k)
            serialGemm(
                transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: depth.count, alpha: alpha,
                a: a + (transposeA ? depth.lowerBound * lda : depth.lowerBound), lda: lda,
                b: b + (transposeB ? depth.lowerBound : depth.lowerBound * ldb), ldb: ldb,
                beta: 0, c: partial + index * m * n, ldc: n)
        }
        for row in 0..<m {
            for column in 0..<n {
                var sum = beta == 0 ? 0 : beta * c[row * ldc + column]
                for part in 0..<parts { sum += partial[(part * m + row) * n + column] }
                c[row * ldc + column] = sum
            }
        }
    }
}

/// `offsets.count` independent products of one size: product i reads A at `a + offsetsA[i]`, B at `b + offsetsB[i]` and
/// writes C at `c + offsetsC[i]` (offsets in elements; those of A and B may repeat, for broadcasting; the Cs must be disjoint).
public func batchedGemm(
    transposeA: Bool = false, transposeB: Bool = false, m: Int, n: Int, k: Int, alpha: Float = 1,
    a: UnsafePointer<Float>, lda: Int, offsetsA: [Int], b: UnsafePointer<Float>, ldb: Int, offsetsB: [Int],
    beta: Float = 0, c: UnsafeMutablePointer<Float>, ldc: Int, offsetsC: [Int], pool: ThreadPool
) {
    let batch = offsetsC.count
    precondition(
        offsetsA.count == batch && offsetsB.count == batch,
        "batched product of \(offsetsA.count), \(offsetsB.count) and \(batch) matrices")
    batchedGemm(
        transposeA: transposeA, transposeB: transposeB, batch: batch, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda,
        b: b, ldb: ldb, beta: beta, c: c, ldc: ldc, pool: pool
    ) { (offsetsA[$0], offsetsB[$0], offsetsC[$0]) }
}

/// `batch` independent products of one size at constant strides (in elements; a stride of 0 in A or B broadcasts it).
public func batchedGemm(
    transposeA: Bool = false, transposeB: Bool = false, batch: Int, m: Int, n: Int, k: Int, alpha: Float = 1,
    a: UnsafePointer<Float>, lda: Int, strideA: Int, b: UnsafePointer<Float>, ldb: Int, strideB: Int,
    beta: Float = 0, c: UnsafeMutablePointer<Float>, ldc: Int, strideC: Int, pool: ThreadPool
) {
    batchedGemm(
        transposeA: transposeA, transposeB: transposeB, batch: batch, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda,
        b: b, ldb: ldb, beta: beta, c: c, ldc: ldc, pool: pool
    ) { ($0 * strideA, $0 * strideB, $0 * strideC) }
}

private func batchedGemm(
    transposeA: Bool, transposeB: Bool, batch: Int, m: Int, n: Int, k: Int, alpha: Float,
    a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>, ldb: Int,
    beta: Float, c: UnsafeMutablePointer<Float>, ldc: Int, pool: ThreadPool, offsets: (Int) -> (Int, Int, Int)
) {
    precondition(m >= 0 && n >= 0 && k >= 0, "negative matrix size \(m)x\(n)x\(k)")
    if m == 0 || n == 0 || batch == 0 { return }
    if batch < pool.threadCount {
        for index in 0..<batch {
            let (offsetA, offsetB, offsetC) = offsets(index)
            gemm(
                transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: alpha, a: a + offsetA,
                lda: lda, b: b + offsetB, ldb: ldb, beta: beta, c: c + offsetC, ldc: ldc, pool: pool)
        }
        return
    }
    let grain = max(1, GemmPartition.smallestPart / max(1, m * n * max(k, 1)))
    pool.forRanges(batch, grain: grain) { range, _ in
        for index in range {
            let (offsetA, offsetB, offsetC) = offsets(index)
            serialGemm(
                transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: alpha, a: a + offsetA,
                lda: lda, b: b + offsetB, ldb: ldb, beta: beta, c: c + offsetC, ldc: ldc)
        }
    }
}

/// How one product is cut for a number of threads: a grid over C, or stretches of the common dimension.
private struct GemmPartition {
    var rows = 1
    var columns = 1
    var depth = 1

    /// Multiply-adds below which waking another thread costs more than it saves.
    static let smallestPart = 1 << 17
    /// Rows or columns below which OpenBLAS's kernels lose their efficiency.
    private static let narrowest = 32
    private static let largestPartial = 1 << 16

    init(m: Int, n: Int, k: Int, threads: Int) {
        let operations = m.multipliedReportingOverflow(by: n).partialValue.multipliedFullWidth(by: k)
        let total = operations.high > 0 ? Int.max : Int(clamping: operations.low)
        var parts = min(threads, total / Self.smallestPart)
        if parts < 2 { return }
        if m / Self.narrowest + n / Self.narrowest < 2 * parts, k >= 4096 * parts, parts * m * n <= Self.largestPartial
        {
            depth = parts
            return
        }
        // Two parts per thread let a thread that lost its processor for a while be overtaken.
        if total >= parts << 26 { parts *= 2 }
        var smallest = Int.max
        for candidate in 1...parts where parts % candidate == 0 {
            let height = (m + candidate - 1) / candidate
            let width = (n + parts / candidate - 1) / (parts / candidate)
            if height + width < smallest {
                smallest = height + width
                rows = candidate
                columns = parts / candidate
            }
        }
        rows = min(rows, max(1, m / 4))
        columns = min(columns, max(1, n / 4))
    }
}

/// The `index`-th of `parts` consecutive ranges that cut `0..<count` as evenly as possible.
@inline(__always)
func evenPart(_ index: Int, of parts: Int, count: Int) -> Range<Int> {
    index * count / parts..<(index + 1) * count / parts
}
