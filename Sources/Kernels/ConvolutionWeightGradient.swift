/// Sums that a weight gradient is cut into, so that they can be formed at the same time and added in a fixed order.
private func accumulatorCount(_ shape: ConvolutionShape, workers: Int) -> Int {
    shape.weightCount <= 32768 ? 4 * workers : workers
}

/// Scratch elements of `convolutionWeightGradient` for a pool of `workers` threads.
public func convolutionWeightGradientScratchCount(_ shape: ConvolutionShape, workers: Int) -> Int {
    if shape.isDepthwise { return workers * PhasePlane.capacity(shape.window) }
    return workers * ConvolutionScratch.count(shape) + accumulatorCount(shape, workers: workers) * shape.weightCount
}

/// dw = (dw if `accumulate`) + sum over samples b of factors[b] * G_b, where G_b is sample b's weight gradient.
///
/// `factors`:[batch]; nil means all ones. A sample whose factor is zero is skipped: its x and g are not read, because they
/// may hold NaN. The result is the same in every run of one thread count.
public func convolutionWeightGradient(
    _ shape: ConvolutionShape, x: UnsafePointer<Float>, g: UnsafePointer<Float>, factors: UnsafePointer<Float>? = nil,
    dw: UnsafeMutablePointer<Float>, accumulate: Bool, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if !accumulate { dw.update(repeating: 0, count: shape.weightCount) }
    let active = activeSamples(factors, shape.batch)
    if active.isEmpty || shape.positions == 0 { return }
    if shape.isDepthwise {
        depthwiseWeightGradient(
            shape, x: x, g: g, factors: factors, active: active, dw: dw, scratch: scratch, pool: pool)
        return
    }
    let workers = pool.threadCount
    let tiling = ConvolutionTiling(shape, sampleCount: active.count, workers: workers)
    let parts = min(tiling.count, accumulatorCount(shape, workers: workers))
    let partial = scratch + workers * ConvolutionScratch.count(shape)
    let rows = shape.outGroup
    let columns = shape.unfoldedRows
    pool.forEach(parts * shape.groups) { index, worker in
        let group = index % shape.groups
        let own = ConvolutionScratch(shape, scratch, worker: worker)
        let sum = partial + index / shape.groups * shape.weightCount + group * rows * columns
        for (order, unit) in evenPart(index / shape.groups, of: parts, count: tiling.count).enumerated() {
            let tile = tiling.tile(unit)
            let input = shape.columns(
                x, group: group, samples: tile.samples, positions: tile.positions, scratch: own, sample: { active[$0] })
            let isSingle = tile.samples.count == 1
            let gradient = shape.gradientTile(
                g, group: group, samples: tile.samples, positions: tile.positions, factors: isSingle ? nil : factors,
                scratch: own, sample: { active[$0] })
            let alpha = isSingle ? factors?[active[tile.samples.lowerBound]] ?? 1 : 1
            serialGemm(
                transposeA: false, transposeB: true, m: rows, n: columns, k: tile.samples.count * tile.positions.count,
                alpha: alpha, a: gradient.pointer, lda: gradient.stride, b: input.pointer, ldb: input.stride,
                beta: order == 0 ? 0 : 1, c: sum, ldc: columns)
        }
    }
    addPartials(partial, parts: parts, count: shape.weightCount, into: dw, pool: pool)
}

/// Scratch elements of `convolutionPerSampleWeightGradient` for a pool of `workers` threads.
public func convolutionPerSampleWeightGradientScratchCount(_ shape: ConvolutionShape, workers: Int) -> Int {
    if let winograd = WinogradWeightGradient(shape, workers: workers) {
        return winograd.scratchCount(workers: workers)
    }
    return workers * (shape.isDepthwise ? PhasePlane.capacity(shape.window) : ConvolutionScratch.count(shape))
}

/// dw:[batch, outChannels, inChannels/groups, kernel...] = every sample's own weight gradient.
public func convolutionPerSampleWeightGradient(
    _ shape: ConvolutionShape, x: UnsafePointer<Float>, g: UnsafePointer<Float>, dw: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if shape.positions == 0 {
        dw.update(repeating: 0, count: shape.batch * shape.weightCount)
        return
    }
    if let winograd = WinogradWeightGradient(shape, workers: pool.threadCount) {
        winograd.run(x, g: g, dw: dw, scratch: scratch, pool: pool)
        return
    }
    if shape.isDepthwise {
        let phases = PhasePlane(shape.window, positions: 0..<shape.positions)
        pool.forEach(shape.batch * shape.groups) { index, worker in
            depthwiseChannelGradient(
                shape, x: x, g: g, sample: index / shape.groups, channel: index % shape.groups, factor: 1,
                dw: dw + index / shape.groups * shape.weightCount,
                phases: phases, plane: scratch + worker * phases.count, overwrite: true)
        }
        return
    }
    let parts = shape.rowParts(workers: pool.threadCount)
    pool.forEach(shape.batch * shape.groups * parts) { index, worker in
        let sample = index / parts / shape.groups
        let group = index / parts % shape.groups
        let rows = evenPart(index % parts, of: parts, count: shape.outGroup)
        let start = sample * shape.weightCount + (group * shape.outGroup + rows.lowerBound) * shape.unfoldedRows
        shape.sampleWeightGradient(
            x: x, g: g, sample: sample, group: group, rows: rows, into: dw + start,
            scratch: ConvolutionScratch(shape, scratch, worker: worker))
    }
}

extension ConvolutionShape {
    /// Parts that the output channels of one sample and group are cut into when there are fewer samples than workers.
    func rowParts(workers: Int) -> Int {
        let units = max(1, batch * groups)
        return units >= workers ? 1 : min(outGroup, (workers + units - 1) / units)
    }

    /// out:[rows, unfoldedRows] = one sample's weight gradient for some output channels of one group.
    func sampleWeightGradient(
        x: UnsafePointer<Float>, g: UnsafePointer<Float>, sample: Int, group: Int, rows: Range<Int>,
        into out: UnsafeMutablePointer<Float>, scratch: ConvolutionScratch
    ) {
        let block = ConvolutionTiling.capacity(self)
        var start = 0
        while start < positions {
            let stretch = start..<min(positions, start + block)
            let input = columns(
                x, group: group, samples: 0..<1, positions: stretch, scratch: scratch, sample: { _ in sample })
            let gradient = g + sample * outSampleCount + (group * outGroup + rows.lowerBound) * positions + start
            serialGemm(
                transposeA: false, transposeB: true, m: rows.count, n: unfoldedRows, k: stretch.count, alpha: 1,
                a: gradient, lda: positions, b: input.pointer, ldb: input.stride, beta: start == 0 ? 0 : 1, c: out,
                ldc: unfoldedRows)
            start += block
        }
    }
}
