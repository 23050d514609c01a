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
        let gradient = g + sample * positions * width
        var total = 0.0
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: positions) { order in
            withUnsafeTemporaryAllocation(of: Double.self, capacity: width) { sum in
                let (sum, tokens) = (sum.baseAddress!, indices + sample * positions)
                TableReads(tokens, count: positions, rows: rows, order: order.baseAddress!).forEachRow { _, own in
                    if own.count == 1 {
                        total += sumOfSquares(gradient + Int(own[0]) * width, width)
                        return
                    }
                    TableReads.add(gradient, width: width, columns: 0..<width, over: own, into: sum)
                    for column in 0..<width { total += sum[column] * sum[column] }
                }
            }
        }
        squaredNorms[sample] += total
    }
}

/// table:[rows,D] = (table if `accumulate`) + sum_b factors[b] * sample b's table gradient.
///
/// `factors`:[B]; nil means all ones. A sample whose factor is zero is not read. What a sample adds to a row is summed by
/// itself, in double precision, and enters the table as one number. Each worker adds one stretch of columns in the order
/// of samples, so the result does not depend on the thread count.
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
    if active.isEmpty || positions == 0 || width == 0 { return }
    let parts = max(1, min(pool.threadCount, width / 16))
    withUnsafeTemporaryAllocation(of: Int32.self, capacity: active.count * positions) { orders in
        let orders = orders.baseAddress!
        pool.forEach(active.count) { place, _ in
            _ = TableReads(
                indices + active[place] * positions, count: positions, rows: rows, order: orders + place * positions)
        }
        pool.forEach(parts) { part, _ in
            let columns = evenPart(part, of: parts, count: width)
            withUnsafeTemporaryAllocation(of: Double.self, capacity: columns.count) { sum in
                let sum = sum.baseAddress!
                for (place, sample) in active.enumerated() {
                    let factor = factors?[sample] ?? 1
                    let gradient = g + sample * positions * width
                    let reads = TableReads(
                        indices + sample * positions, count: positions, sorted: orders + place * positions)
                    reads.forEachRow { row, own in
                        let target = table + row * width + columns.lowerBound
                        if own.count == 1 {
                            addScaled(
                                target, factor, gradient + Int(own[0]) * width + columns.lowerBound, columns.count)
                            return
                        }
                        TableReads.add(gradient, width: width, columns: columns, over: own, into: sum)
                        // The sum itself may be too long for single precision.
                        for column in 0..<columns.count { target[column] += Float(Double(factor) * sum[column]) }
                    }
                }
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
public func embeddingHeadCrossScratchCount(positions: Int, headPositions: Int, width: Int, workers: Int) -> Int {
    workers * headCrossWorkerCount(positions, headPositions, width)
}

private func headCrossWorkerCount(_ positions: Int, _ headPositions: Int, _ width: Int) -> Int {
    min(positions, GhostNorm.tile) * (min(headPositions, GhostNorm.tile) + width)
}

/// products[b] += scale * <G_emb, G_head>_F for a table [rows,D] that is read by `indices` and is also the output
/// projection (logits = h table^T): scale * sum_{v,t} (g_v . h[t]) * headG[t, v] over the distinct rows v that are read,
/// g_v being the sum of g over the positions that read v. With scale 2 it is what the squared norms of the two uses lack.
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
    let size = headCrossWorkerCount(positions, headPositions, width)
    pool.forEach(batch) { sample, worker in
        let summed = scratch + worker * size
        let inner = summed + min(positions, side) * width
        let hidden = PositionMatrix(
            pointer: h + sample * headPositions * width, stride: width, features: width, isFeatureMajor: false)
        let read = PositionMatrix(pointer: summed, stride: width, features: width, isFeatureMajor: false)
        let logits = headG + sample * headPositions * rows
        var sum = 0.0
        TableReads.forEachTile(
            of: indices + sample * positions, g + sample * positions * width, count: positions, rows: rows,
            width: width, into: summed
        ) { own in
            for firstHead in stride(from: 0, to: headPositions, by: side) {
                let heads = firstHead..<min(headPositions, firstHead + side)
                hidden.gram(read, rows: heads, columns: 0..<own.count, into: inner)
                for (place, head) in heads.enumerated() {
                    for (column, row) in own.enumerated() {
                        sum += Double(inner[place * own.count + column]) * Double(logits[head * rows + Int(row)])
                    }
                }
            }
        }
        products[sample] += scale * sum
    }
}
