/// Kernels of a trainable table [rows, D] that is read by indices:[B,T], each in 0..<rows, with g:[B,T,D] the gradient of
/// what was read. Negative ONNX indices must have been normalised. A pad row is a row like any other.

private func checkIndex(_ index: Int64, rows: Int) -> Int {
    precondition(index >= 0 && index < Int64(rows), "embedding index \(index) is outside 0..<\(rows)")
    return Int(index)
}

/// squaredNorms[b] += sum over distinct rows v of || sum_{t: indices[b,t] = v} g[b,t] ||^2: sorted, then summed by segment.
public func embeddingNorms(
    indices: UnsafePointer<Int64>, g: UnsafePointer<Float>, B: Int, T: Int, rows: Int, D: Int,
    into squaredNorms: UnsafeMutablePointer<Double>, pool: ThreadPool
) {
    if T == 0 || D == 0 { return }
    pool.forEach(B) { sample, _ in
        let tokens = indices + sample * T
        let order = (0..<T).sorted { (tokens[$0], $0) < (tokens[$1], $1) }
        let gradient = g + sample * T * D
        var total = 0.0
        withUnsafeTemporaryAllocation(of: Double.self, capacity: D) { sum in
            var start = 0
            while start < T {
                let row = checkIndex(tokens[order[start]], rows: rows)
                var end = start + 1
                while end < T, tokens[order[end]] == Int64(row) { end += 1 }
                if end == start + 1 {
                    total += sumOfSquares(gradient + order[start] * D, D)
                } else {
                    for column in 0..<D { sum[column] = 0 }
                    for place in start..<end {
                        let source = gradient + order[place] * D
                        for column in 0..<D { sum[column] += Double(source[column]) }
                    }
                    for column in 0..<D { total += sum[column] * sum[column] }
                }
                start = end
            }
        }
        squaredNorms[sample] += total
    }
}

/// table:[rows,D] = (table if `accumulate`) + sum_b factors[b] * sample b's table gradient.
///
/// `factors`:[B]; nil means all ones. A sample whose factor is zero is not read. Each worker adds one stretch of columns in
/// the order of samples and positions, so the result does not depend on the thread count.
public func embeddingWeightedScatter(
    indices: UnsafePointer<Int64>, g: UnsafePointer<Float>, factors: UnsafePointer<Float>? = nil, B: Int, T: Int,
    rows: Int, D: Int, into table: UnsafeMutablePointer<Float>, accumulate: Bool, pool: ThreadPool
) {
    if !accumulate {
        pool.forRanges(rows * D, grain: 1 << 16) { range, _ in
            (table + range.lowerBound).update(repeating: 0, count: range.count)
        }
    }
    let active = activeSamples(factors, B)
    let parts = max(1, min(pool.threadCount, D / 16))
    pool.forEach(parts) { part, _ in
        let columns = evenPart(part, of: parts, count: D)
        for sample in active {
            let factor = factors?[sample] ?? 1
            for position in sample * T..<(sample + 1) * T {
                let row = checkIndex(indices[position], rows: rows)
                addScaled(
                    table + row * D + columns.lowerBound, factor, g + position * D + columns.lowerBound, columns.count)
            }
        }
    }
}

/// tables:[B,rows,D] = every sample's own dense table gradient.
public func embeddingPerSampleGradient(
    indices: UnsafePointer<Int64>, g: UnsafePointer<Float>, B: Int, T: Int, rows: Int, D: Int,
    into tables: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    pool.forEach(B) { sample, _ in
        let table = tables + sample * rows * D
        table.update(repeating: 0, count: rows * D)
        for position in sample * T..<(sample + 1) * T {
            addRow(table + checkIndex(indices[position], rows: rows) * D, g + position * D, D)
        }
    }
}

/// Scratch elements of `embeddingHeadCross` for a pool of `workers` threads.
public func embeddingHeadCrossScratchCount(T: Int, headT: Int, workers: Int) -> Int {
    workers * min(T, GhostNorm.tile) * min(headT, GhostNorm.tile)
}

/// products[b] += scale * <G_emb, G_head>_F for a table [rows,D] that is read by `indices` and is also the output
/// projection (logits = h table^T): scale * sum_{s,t} (g[s] . h[t]) * headG[t, indices[s]]. With scale 2 it is what the
/// squared norms of the two uses lack.
///
/// indices:[B,T], g:[B,T,D] gradient of what was read; h:[B,headT,D] input of the projection, headG:[B,headT,rows] gradient
/// of the logits.
public func embeddingHeadCross(
    indices: UnsafePointer<Int64>, g: UnsafePointer<Float>, T: Int, h: UnsafePointer<Float>,
    headG: UnsafePointer<Float>, headT: Int, B: Int, rows: Int, D: Int, scale: Double,
    into products: UnsafeMutablePointer<Double>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if T == 0 || headT == 0 { return }
    let side = GhostNorm.tile
    let size = min(T, side) * min(headT, side)
    pool.forEach(B) { sample, worker in
        let own = scratch + worker * size
        let read = PositionMatrix(pointer: g + sample * T * D, stride: D, features: D, isFeatureMajor: false)
        let hidden = PositionMatrix(pointer: h + sample * headT * D, stride: D, features: D, isFeatureMajor: false)
        let logits = headG + sample * headT * rows
        var sum = 0.0
        for firstHead in stride(from: 0, to: headT, by: side) {
            let heads = firstHead..<min(headT, firstHead + side)
            for first in stride(from: 0, to: T, by: side) {
                let tokens = first..<min(T, first + side)
                hidden.gram(read, rows: heads, columns: tokens, into: own)
                for (row, head) in heads.enumerated() {
                    for (column, token) in tokens.enumerated() {
                        let index = checkIndex(indices[sample * T + token], rows: rows)
                        sum += Double(own[row * tokens.count + column]) * Double(logits[head * rows + index])
                    }
                }
            }
        }
        products[sample] += scale * sum
    }
}
