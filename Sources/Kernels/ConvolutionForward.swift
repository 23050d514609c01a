/// Scratch elements of `convolutionForward` for a pool of `workers` threads.
public func convolutionForwardScratchCount(_ shape: ConvolutionShape, workers: Int) -> Int {
    if let winograd = WinogradConvolution(forward: shape, workers: workers) { return winograd.scratchCount }
    return workers * (shape.isDepthwise ? PhasePlane.capacity(shape.window) : ConvolutionScratch.count(shape))
}

/// out = x convolved with w (cross-correlation, ONNX `Conv`) + bias:[outChannels] if given.
public func convolutionForward(
    _ shape: ConvolutionShape, x: UnsafePointer<Float>, w: UnsafePointer<Float>, bias: UnsafePointer<Float>? = nil,
    out: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if shape.outputCount == 0 { return }
    if let winograd = WinogradConvolution(forward: shape, workers: pool.threadCount) {
        winograd.run(x, w: w, bias: bias, out: out, scratch: scratch, pool: pool)
        return
    }
    if shape.isDepthwise {
        depthwiseForward(shape, x: x, w: w, bias: bias, out: out, scratch: scratch, pool: pool)
        return
    }
    let tiling = ConvolutionTiling(shape, sampleCount: shape.batch, workers: pool.threadCount)
    let rows = shape.outGroup
    let depth = shape.unfoldedRows
    let positions = shape.positions
    pool.forEach(tiling.count * shape.groups) { index, worker in
        let group = index % shape.groups
        let tile = tiling.tile(index / shape.groups)
        let own = ConvolutionScratch(shape, scratch, worker: worker)
        let columns = shape.columns(
            x, group: group, samples: tile.samples, positions: tile.positions, scratch: own, sample: { $0 })
        let weight = w + group * rows * depth
        let width = tile.samples.count * tile.positions.count
        let isDirect = tile.samples.count == 1
        let first = out + tile.samples.lowerBound * shape.outSampleCount + group * rows * positions
        let target = isDirect ? first + tile.positions.lowerBound : own.tile
        let targetStride = isDirect ? positions : width
        serialGemm(
            transposeA: false, transposeB: false, m: rows, n: width, k: depth, alpha: 1, a: weight, lda: depth,
            b: columns.pointer, ldb: columns.stride, beta: 0, c: target, ldc: targetStride)
        for row in 0..<rows {
            let addend = bias.map { $0[group * rows + row] } ?? 0
            if isDirect {
                if bias != nil { addConstant(target + row * positions, addend, width) }
                continue
            }
            for place in 0..<tile.samples.count {
                let outRow = first + place * shape.outSampleCount + row * positions
                copyRow(outRow, own.tile + row * width + place * positions, positions)
                if bias != nil { addConstant(outRow, addend, positions) }
            }
        }
    }
}

@inline(__always)
private func addConstant(_ out: UnsafeMutablePointer<Float>, _ value: Float, _ count: Int) {
    for index in 0..<count { out[index] += value }
}
