/// Kernels of a trainable table [rows, D] that is read by indices:[B,T], each in 0..<rows, with g:[B,T,D] the gradient of
/// what was read. Negative ONNX indices must have been normalised. A pad row is a row like any other.

private func checkIndex(_ index: Int64, rows: Int) -> Int {
    precondition(index >= 0 && index < Int64(rows), "embedding index \(index) is outside 0..<\(rows)")
    return Int(index)
}

/// squaredNorms[b] += sum over distinct rows v of || sum_{t: indices[b,t] = v} g[b,t] ||^2: sorted, then summed by segment.
public func embeddingNorms(
    indices: UnsafePointer<Int64>, g: UnsafePointer<Float>, batch: Int, positions: Int, rows: Int, width: Int,
    into squaredNorms: UnsafeMutablePointer<Double>, pool: ThreadPool
) {
    if positions == 0 || width == 0 { return }
    pool.forEach(batch) { sample, _ in
        let tokens = indices + sample * positions
        let order = (0..<positions).sorted { (tokens[$0], $0) < (tokens[$1], $1) }
        let gradient = g + sample * positions * width
        var total = 0.0
        withUnsafeTemporaryAllocation(of: Double.self, capacity: width) { sum in
            var start = 0
            while start < positions {
                let row = checkIndex(tokens[order[start]], rows: rows)
                var end = start + 1
                while end < positions, tokens[order[end]] == Int64(row) { end += 1 }
                if end == start + 1 {
                    total += sumOfSquares(gradient + order[start] * width, width)
                } else {
                    for column in 0..<width { sum[column] = 0 }
                    for place in start..<end {
                        let source = gradient + order[place] * width
                        for column in 0..<width { sum[column] += Double(source[column]) }
                    }
                    for column in 0..<width { total += sum[column] * sum[column] }
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
    indices: UnsafePointer<Int64>, g: UnsafePointer<Float>, factors: UnsafePointer<Float>? = nil, batch: Int,
    positions: Int,
    rows: Int, width: Int, into table: UnsafeMutablePointer<Float>, accumulate: Bool, pool: ThreadPool
) {
    if !accumulate {
        pool.forRanges(rows * width, grain: 1 << 16) { range, _ in
            (table + range.lowerBound).update(repeating: 0, count: range.count)
        }
    }
    let active = activeSamples(factors, batch)
    let parts = max(1, min(pool.threadCount, width / 16))
    pool.forEach(parts) { part, _ in
        let columns = evenPart(part, of: parts, count: width)
        for sample in active {
            let factor = factors?[sample] ?? 1
            for position in sample * positions..<(sample + 1) * positions {
                let row = checkIndex(indices[position], rows: rows)
                addScaled(
                    table + row * width + columns.lowerBound, factor, g + position * width + columns.lowerBound,
                    columns.count)
            }
        }
    }
}

/// tables:[B,rows,D] = every sample's own dense table gradient.
public func embeddingPerSampleGradient(
    indices: UnsafePointer<Int64>, g: UnsafePointer<Float>, batch: Int, positions: Int, rows: Int, width: Int,
    into tables: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    pool.forEach(batch) { sample, _ in
        let table = tables + sample * rows * width
        table.update(repeating: 0, count: rows * width)
        for position in sample * positions..<(sample + 1) * positions {
            addRow(table + checkIndex(indices[position], rows: rows) * width, g + position * width, width)
        }
    }
}

/// Scratch elements of `embeddingHeadCross` for a pool of `workers` threads.
public func embeddingHeadCrossScratchCount(positions: Int, headPositions: Int, workers: Int) -> Int {
    workers * min(positions, GhostNorm.tile) * min(headPositions, GhostNorm.tile)
}

/// products[b] += scale * <G_emb, G_head>_F for a table [rows,D] that is read by `indices` and is also the output
/// projection (logits = h table^T): scale * sum_{s,t} (g[s] . h[t]) * headG[t, indices[s]]. With scale 2 it is what the
/// squared norms of the two uses lack.
///
/// indices:[B,T], g:[B,T,D] gradient of what was read; h:[B,headPositions,D] input of the projection, headG:[B,headPositions,rows] gradient
/// of the logits.
public func embeddingHeadCross(
    indices: UnsafePointer<Int64>, g: UnsafePointer<Float>, positions: Int, h: UnsafePointer<Float>,
    headG: UnsafePointer<Float>, headPositions: Int, batch: Int, rows: Int, width: Int, scale: Double,
    into products: UnsafeMutablePointer<Double>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if positions == 0 || headPositions == 0 { return }
    let side = GhostNorm.tile
    let size = min(positions, side) * min(headPositions, side)
    pool.forEach(batch) { sample, worker in
        let own = scratch + worker * size
        let read = PositionMatrix(
            pointer: g + sample * positions * width, stride: width, features: width, isFeatureMajor: false)
        let hidden = PositionMatrix(
            pointer: h + sample * headPositions * width, stride: width, features: width, isFeatureMajor: false)
        let logits = headG + sample * headPositions * rows
        var sum = 0.0
        for firstHead in stride(from: 0, to: headPositions, by: side) {
            let heads = firstHead..<min(headPositions, firstHead + side)
            for first in stride(from: 0, to: positions, by: side) {
                let tokens = first..<min(positions, first + side)
                hidden.gram(read, rows: heads, columns: tokens, into: own)
                for (row, head) in heads.enumerated() {
                    for (column, token) in tokens.enumerated() {
                        let index = checkIndex(indices[sample * positions + token], rows: rows)
                        sum += Double(own[row * tokens.count + column]) * Double(logits[head * rows + index])
                    }
                }
            }
        }
        products[sample] += scale * sum
    }
}
