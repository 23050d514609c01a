private func linearNormWorkerCount(positions: Int, d: Int, p: Int) -> Int {
    positions == 1 ? 0 : GhostNorm.gramCount(positions: positions) + GhostNorm.instantiatedCount(rows: d, columns: p)
}

/// Scratch elements of `linearGhostNorms` for a pool of `workers` threads.
public func linearGhostNormsScratchCount(positions: Int, d: Int, p: Int, workers: Int) -> Int {
    workers * linearNormWorkerCount(positions: positions, d: d, p: p)
}

/// squaredNorms[b] += ||x_b^T g_b||_F^2, plus ||sum_t g_b,t||^2 if `includeBias`, for x:[B,T,d] and g:[B,T,p].
///
/// T = 1: ||x||^2 ||g||^2 in double precision. T > 1: <X X^T + 1, G G^T>_F (Li et al. 2022), the Grams in single precision
/// by tiles that stay in cache, their product summed in double precision. If the sum is not positive or below
/// max(1e-5, 0.03 / T) S^2 with S = sum_t ||x_t|| ||g_t||, the Grams have cancelled and that sample is instantiated, and so
/// it is where squares too small for single precision may count; such a norm includes 2^-25 S for the rounding of its
/// contraction. A sample whose x or g is not finite gets a norm that is not finite, the others are not touched by it.
public func linearGhostNorms(
    x: UnsafePointer<Float>, g: UnsafePointer<Float>, batch: Int, positions: Int, d: Int, p: Int, includeBias: Bool,
    into squaredNorms: UnsafeMutablePointer<Double>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if positions == 0 { return }
    if positions == 1 {
        pool.forRanges(batch, grain: max(1, 16384 / max(1, d + p))) { range, _ in
            for sample in range {
                let input = sumOfSquares(x + sample * d, d) + (includeBias ? 1 : 0)
                squaredNorms[sample] += input * sumOfSquares(g + sample * p, p)
            }
        }
        return
    }
    let size = linearNormWorkerCount(positions: positions, d: d, p: p)
    pool.forEach(batch) { sample, worker in
        let own = scratch + worker * size
        squaredNorms[sample] += GhostNorm.squared(
            PositionMatrix(pointer: x + sample * positions * d, stride: d, features: d, isFeatureMajor: false),
            PositionMatrix(pointer: g + sample * positions * p, stride: p, features: p, isFeatureMajor: false),
            positions: positions, includeBias: includeBias, scratch: own,
            instantiated: own + GhostNorm.gramCount(positions: positions))
    }
}

/// Scratch elements of `linearInstantiatedNorms` for a pool of `workers` threads.
public func linearInstantiatedNormsScratchCount(d: Int, p: Int, workers: Int) -> Int {
    workers * GhostNorm.instantiatedCount(rows: d, columns: p)
}

/// The same as `linearGhostNorms`, by forming x_b^T g_b in the worker's scratch, some rows at a time.
public func linearInstantiatedNorms(
    x: UnsafePointer<Float>, g: UnsafePointer<Float>, batch: Int, positions: Int, d: Int, p: Int, includeBias: Bool,
    into squaredNorms: UnsafeMutablePointer<Double>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if positions == 0 { return }
    let size = GhostNorm.instantiatedCount(rows: d, columns: p)
    pool.forEach(batch) { sample, worker in
        squaredNorms[sample] += GhostNorm.byInstantiation(
            PositionMatrix(pointer: x + sample * positions * d, stride: d, features: d, isFeatureMajor: false),
            PositionMatrix(pointer: g + sample * positions * p, stride: p, features: p, isFeatureMajor: false),
            positions: positions, includeBias: includeBias, buffer: scratch + worker * size)
    }
}

/// dw:[B,d,p], dw_b = x_b^T g_b for x:[B,T,d] and g:[B,T,p]; [B,p,d] if `transposed` (the layout of `Gemm` with transB).
public func linearPerSampleGradient(
    x: UnsafePointer<Float>, g: UnsafePointer<Float>, batch: Int, positions: Int, d: Int, p: Int,
    transposed: Bool = false,
    dw: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if transposed {
        linearPerSampleGradient(x: g, g: x, batch: batch, positions: positions, d: p, p: d, dw: dw, pool: pool)
    } else if positions == 1 {
        pool.forRanges(batch * d, grain: max(1, 16384 / max(1, p))) { rows, _ in
            for row in rows { copyScaled(dw + row * p, x[row], g + row / d * p, p) }
        }
    } else {
        batchedGemm(
            transposeA: true, batch: batch, m: d, n: p, k: positions, a: x, lda: d, strideA: positions * d, b: g,
            ldb: p, strideB: positions * p,
            c: dw, ldc: p, strideC: d * p, pool: pool)
    }
}

private func linearCrossWorkerCount(positions1: Int, positions2: Int, d: Int, p: Int) -> Int {
    max(
        2 * min(positions1, GhostNorm.tile) * min(positions2, GhostNorm.tile)
            + GhostNorm.packedCount(positions: max(positions1, positions2)),
        2 * GhostNorm.instantiatedCount(rows: d, columns: p))
}

/// Scratch elements of `linearCross` for a pool of `workers` threads.
public func linearCrossScratchCount(positions1: Int, positions2: Int, d: Int, p: Int, workers: Int) -> Int {
    workers * linearCrossWorkerCount(positions1: positions1, positions2: positions2, d: d, p: p)
}

/// products[b] += scale * <x1_b^T g1_b, x2_b^T g2_b>_F = scale * sum_{s,t} (x1_s . x2_t)(g1_s . g2_t), for two uses of one
/// weight [d,p]: x1:[B,T1,d], g1:[B,T1,p], x2:[B,T2,d], g2:[B,T2,p]. With scale 2 it is what the two uses' squared norms lack.
///
/// If the sum is below 1e-5 S1 S2, S being that of `linearGhostNorms`, or squares too small for single precision may count,
/// the sample's two gradients are instantiated instead.
public func linearCross(
    x1: UnsafePointer<Float>, g1: UnsafePointer<Float>, positions1: Int, x2: UnsafePointer<Float>,
    g2: UnsafePointer<Float>,
    positions2: Int, batch: Int, d: Int, p: Int, scale: Double, into products: UnsafeMutablePointer<Double>,
    scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if positions1 == 0 || positions2 == 0 { return }
    let size = linearCrossWorkerCount(positions1: positions1, positions2: positions2, d: d, p: p)
    pool.forEach(batch) { sample, worker in
        let own = scratch + worker * size
        let input1 = PositionMatrix(
            pointer: x1 + sample * positions1 * d, stride: d, features: d, isFeatureMajor: false)
        let input2 = PositionMatrix(
            pointer: x2 + sample * positions2 * d, stride: d, features: d, isFeatureMajor: false)
        let gradient1 = PositionMatrix(
            pointer: g1 + sample * positions1 * p, stride: p, features: p, isFeatureMajor: false)
        let gradient2 = PositionMatrix(
            pointer: g2 + sample * positions2 * p, stride: p, features: p, isFeatureMajor: false)
        let gradientGram = own + min(positions1, GhostNorm.tile) * min(positions2, GhostNorm.tile)
        let packed = gradientGram + min(positions1, GhostNorm.tile) * min(positions2, GhostNorm.tile)
        var sum = 0.0
        for firstRow in stride(from: 0, to: positions1, by: GhostNorm.tile) {
            let rows = firstRow..<min(positions1, firstRow + GhostNorm.tile)
            for firstColumn in stride(from: 0, to: positions2, by: GhostNorm.tile) {
                let columns = firstColumn..<min(positions2, firstColumn + GhostNorm.tile)
                input1.tileGram(input2, rows: rows, columns: columns, into: own, packed: packed)
                gradient1.tileGram(gradient2, rows: rows, columns: columns, into: gradientGram, packed: packed)
                sum += dot(own, gradientGram, rows.count * columns.count)
            }
        }
        let first = input1.productOfNorms(gradient1, positions: positions1)
        let second = input2.productOfNorms(gradient2, positions: positions2)
        let bound = first.sum * second.sum
        let isTrusted =
            sum.magnitude >= 1e-5 * bound
            && GhostNorm.lacksNothing(sum, lost: first.lost, of: second.sum)
            && GhostNorm.lacksNothing(sum, lost: second.lost, of: first.sum)
        if !isTrusted, bound != 0 {
            sum = crossByInstantiation((input1, gradient1, positions1), (input2, gradient2, positions2), buffer: own)
        }
        products[sample] += scale * sum
    }
}

private func crossByInstantiation(
    _ first: (x: PositionMatrix, g: PositionMatrix, positions: Int),
    _ second: (x: PositionMatrix, g: PositionMatrix, positions: Int), buffer: UnsafeMutablePointer<Float>
) -> Double {
    let count = GhostNorm.instantiatedCount(rows: first.x.features, columns: first.g.features)
    let step = max(1, count / max(1, first.g.features))
    var sum = 0.0
    for start in stride(from: 0, to: first.x.features, by: step) {
        let rows = start..<min(first.x.features, start + step)
        first.x.contraction(first.g, rows: rows, positions: first.positions, into: buffer)
        second.x.contraction(second.g, rows: rows, positions: second.positions, into: buffer + count)
        sum += dot(buffer, buffer + count, rows.count * first.g.features)
    }
    return sum
}
