/// Rows that are scaled and multiplied at a time.
private let contractionRows = 512
/// The least number of rows at a time where both sides are copied.
private let copiedRows = 128

/// How the contraction is cut: the wider of the two sides by columns, or, if both are narrow, the samples.
private struct ContractionPartition {
    let isNarrow: Bool
    let parts: Int

    init(batch: Int, positions: Int, d: Int, p: Int, workers: Int) {
        isNarrow = max(d, p) < 64 * workers && batch * positions >= 1024 * workers && d * p <= 1 << 16
        let operations = Double(batch * positions) * Double(d) * Double(p)
        parts = isNarrow ? min(4 * workers, batch) : operations < 1e5 ? 1 : max(1, min(workers, max(d, p) / 8))
    }

    /// Columns of x and g together that one part copies.
    private func columns(d: Int, p: Int) -> Int { isNarrow ? d + p : min(d, p) + (max(d, p) + parts - 1) / parts }

    /// Elements of one part's copies: the side that is scaled, or both sides with fewer rows at a time.
    func copyCount(rows: Int, d: Int, p: Int) -> Int {
        max(rows * min(d, p), min(rows, copiedRows) * columns(d: d, p: p))
    }
}

/// Scratch elements of `linearWeightedContraction` for a pool of `workers` threads.
public func linearWeightedContractionScratchCount(batch: Int, positions: Int, d: Int, p: Int, workers: Int) -> Int {
    let partition = ContractionPartition(batch: batch, positions: positions, d: d, p: p, workers: workers)
    let rows = min(contractionRows, batch * positions)
    let copied = partition.copyCount(rows: rows, d: d, p: p)
    return partition.isNarrow ? workers * copied + partition.parts * d * p : partition.parts * copied
}

/// dw = (dw if `accumulate`) + sum_b factors[b] x_b^T g_b for x:[B,T,d], g:[B,T,p]; dw is [d,p], or [p,d] if `transposed`.
///
/// `factors`:[B]; nil means all ones. A sample whose factor is zero is left out: its x and g are not read, because they may
/// hold NaN. The contraction of Book-Keeping (Bu et al. 2023). The same in every run of one thread count.
public func linearWeightedContraction(
    x: UnsafePointer<Float>, g: UnsafePointer<Float>, factors: UnsafePointer<Float>? = nil, batch: Int, positions: Int,
    d: Int,
    p: Int, dw: UnsafeMutablePointer<Float>, transposed: Bool = false, accumulate: Bool,
    scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if d == 0 || p == 0 { return }
    let active = activeSamples(factors, batch)
    if active.isEmpty || positions == 0 {
        if !accumulate { dw.update(repeating: 0, count: d * p) }
        return
    }
    let partition = ContractionPartition(batch: batch, positions: positions, d: d, p: p, workers: pool.threadCount)
    let rows = min(contractionRows, batch * positions)
    let copied = partition.copyCount(rows: rows, d: d, p: p)
    let whole = Contraction(
        a: transposed ? g : x, m: transposed ? p : d, b: transposed ? x : g, n: transposed ? d : p,
        sampleLength: positions,
        factors: factors, active: active, isCompact: active.last == active.count - 1, rowLimit: rows, copyLimit: copied)
    if partition.isNarrow {
        let partial = scratch + pool.threadCount * copied
        let parts = min(partition.parts, active.count)
        pool.forEach(parts) { index, worker in
            whole.run(
                samples: evenPart(index, of: parts, count: active.count), rows: 0..<whole.m, columns: 0..<whole.n,
                into: partial + index * d * p, accumulate: false, scratch: scratch + worker * copied)
        }
        if !accumulate { dw.update(repeating: 0, count: d * p) }
        addPartials(partial, parts: parts, count: d * p, into: dw, pool: pool)
        return
    }
    pool.forEach(partition.parts) { index, _ in
        let isWide = whole.n >= whole.m
        whole.run(
            samples: 0..<active.count,
            rows: isWide ? 0..<whole.m : evenPart(index, of: partition.parts, count: whole.m),
            columns: isWide ? evenPart(index, of: partition.parts, count: whole.n) : 0..<whole.n,
            into: dw, accumulate: accumulate, scratch: scratch + index * copied)
    }
}

/// out:[m,n] = sum over the active samples of factor * a_b^T b_b, a:[B,T,m], b:[B,T,n].
private struct Contraction {
    let a: UnsafePointer<Float>
    let m: Int
    let b: UnsafePointer<Float>
    let n: Int
    let sampleLength: Int
    let factors: UnsafePointer<Float>?
    let active: [Int]
    /// Only the last samples are left out, as padding is, so a side that is not scaled can be used where it lies.
    let isCompact: Bool
    let rowLimit: Int
    /// Elements of scratch memory.
    let copyLimit: Int

    /// One block of out, from some of the active samples.
    func run(
        samples: Range<Int>, rows: Range<Int>, columns: Range<Int>, into out: UnsafeMutablePointer<Float>,
        accumulate: Bool, scratch: UnsafeMutablePointer<Float>
    ) {
        let target = out + rows.lowerBound * n + columns.lowerBound
        if isCompact, factors == nil {
            serialGemm(
                transposeA: true, transposeB: false, m: rows.count, n: columns.count, k: samples.count * sampleLength,
                alpha: 1,
                a: a + samples.lowerBound * sampleLength * m + rows.lowerBound, lda: m,
                b: b + samples.lowerBound * sampleLength * n + columns.lowerBound, ldb: n, beta: accumulate ? 1 : 0,
                c: target,
                ldc: n)
            return
        }
        // The side with fewer columns in this block is the cheaper one to scale.
        let scalesB = columns.count <= rows.count
        let copiesA = !isCompact || !scalesB
        let copiesB = !isCompact || scalesB
        let copiedColumns = (copiesA ? rows.count : 0) + (copiesB ? columns.count : 0)
        let step = min(rowLimit, copyLimit / copiedColumns)
        let copyOfA = scratch
        let copyOfB = copiesA ? scratch + step * rows.count : scratch
        var isFirst = !accumulate
        let end = samples.upperBound * sampleLength
        for first in stride(from: samples.lowerBound * sampleLength, to: end, by: step) {
            let positions = first..<min(end, first + step)
            if copiesA { gather(a, m, positions, rows, scaled: !scalesB, into: copyOfA) }
            if copiesB { gather(b, n, positions, columns, scaled: scalesB, into: copyOfB) }
            serialGemm(
                transposeA: true, transposeB: false, m: rows.count, n: columns.count, k: positions.count, alpha: 1,
                a: copiesA ? UnsafePointer(copyOfA) : a + first * m + rows.lowerBound, lda: copiesA ? rows.count : m,
                b: copiesB ? UnsafePointer(copyOfB) : b + first * n + columns.lowerBound,
                ldb: copiesB ? columns.count : n, beta: isFirst ? 0 : 1, c: target, ldc: n)
            isFirst = false
        }
    }

    /// out:[positions, columns] = those columns of the positions (counted over the active samples), times the factor.
    private func gather(
        _ source: UnsafePointer<Float>, _ width: Int, _ positions: Range<Int>, _ columns: Range<Int>, scaled: Bool,
        into out: UnsafeMutablePointer<Float>
    ) {
        var target = out
        for position in positions {
            let sample = active[position / sampleLength]
            let row = source + (sample * sampleLength + position % sampleLength) * width + columns.lowerBound
            if scaled, let factors {
                copyScaled(target, factors[sample], row, columns.count)
            } else {
                copyRow(target, row, columns.count)
            }
            target += columns.count
        }
    }
}
