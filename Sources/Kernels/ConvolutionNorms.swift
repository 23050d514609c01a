private func instantiatedRows(_ shape: ConvolutionShape) -> Int {
    GhostNorm.instantiatedCount(rows: shape.outGroup, columns: shape.unfoldedRows) / shape.unfoldedRows
}

private func instantiatedWorkerCount(_ shape: ConvolutionShape) -> Int {
    if shape.isDepthwise { return PhasePlane.capacity(shape.window) + shape.weightCount }
    return ConvolutionScratch.count(shape) + instantiatedRows(shape) * shape.unfoldedRows
}

/// Scratch elements of `convolutionInstantiatedNorms` for a pool of `workers` threads.
public func convolutionInstantiatedNormsScratchCount(_ shape: ConvolutionShape, workers: Int) -> Int {
    workers * instantiatedWorkerCount(shape)
}

/// squaredNorms[b] += ||G_b||_F^2 for every sample's weight gradient G_b, by forming G_b in the worker's scratch.
public func convolutionInstantiatedNorms(
    _ shape: ConvolutionShape, x: UnsafePointer<Float>, g: UnsafePointer<Float>,
    into squaredNorms: UnsafeMutablePointer<Double>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if shape.positions == 0 { return }
    let size = instantiatedWorkerCount(shape)
    if shape.isDepthwise {
        let phases = PhasePlane(shape.window, positions: 0..<shape.positions)
        addPartialNorms(samples: shape.batch, parts: shape.groups, into: squaredNorms, pool: pool) {
            sample, channel, worker in
            let plane = scratch + worker * size
            let gradient = plane + phases.count
            depthwiseChannelGradient(
                shape, x: x, g: g, sample: sample, channel: channel, factor: 1, dw: gradient, phases: phases,
                plane: plane,
                overwrite: true)
            let count = shape.outGroup * shape.unfoldedRows
            return sumOfSquares(gradient + channel * count, count)
        }
        return
    }
    let rowParts = max(
        shape.rowParts(workers: pool.threadCount),
        (shape.outGroup + instantiatedRows(shape) - 1) / instantiatedRows(shape))
    addPartialNorms(samples: shape.batch, parts: shape.groups * rowParts, into: squaredNorms, pool: pool) {
        sample, part, worker in
        let own = scratch + worker * size
        let gradient = own + ConvolutionScratch.count(shape)
        let rows = evenPart(part % rowParts, of: rowParts, count: shape.outGroup)
        shape.sampleWeightGradient(
            x: x, g: g, sample: sample, group: part / rowParts, rows: rows, into: gradient,
            scratch: ConvolutionScratch(shape, own, worker: 0))
        return sumOfSquares(gradient, rows.count * shape.unfoldedRows)
    }
}

private func ghostColumnsCount(_ shape: ConvolutionShape) -> Int {
    shape.isPointwise ? 0 : PhasePlane.capacity(shape.window) + shape.unfoldedRows * shape.positions
}

private func ghostWorkerCount(_ shape: ConvolutionShape) -> Int {
    ghostColumnsCount(shape) + GhostNorm.gramCount(positions: shape.positions)
        + GhostNorm.instantiatedCount(rows: shape.unfoldedRows, columns: shape.outGroup)
}

/// Scratch elements of `convolutionGhostNorms` for a pool of `workers` threads: each holds one unfolded sample of one group.
public func convolutionGhostNormsScratchCount(_ shape: ConvolutionShape, workers: Int) -> Int {
    workers * ghostWorkerCount(shape)
}

/// squaredNorms[b] += ||G_b||_F^2 for every sample's weight gradient G_b, by the Gram matrices of the unfolded input and of
/// the output gradient, group by group, without forming G_b (Bu et al. 2022, mixed ghost clipping).
///
/// Where the Grams cancel (see `linearGhostNorms`), that sample is instantiated.
public func convolutionGhostNorms(
    _ shape: ConvolutionShape, x: UnsafePointer<Float>, g: UnsafePointer<Float>,
    into squaredNorms: UnsafeMutablePointer<Double>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if shape.positions == 0 { return }
    let size = ghostWorkerCount(shape)
    let phases = PhasePlane(shape.window, positions: 0..<shape.positions)
    addPartialNorms(samples: shape.batch, parts: shape.groups, into: squaredNorms, pool: pool) {
        sample, group, worker in
        let own = scratch + worker * size
        let grams = own + ghostColumnsCount(shape)
        let input = x + sample * shape.inSampleCount + group * shape.inGroup * shape.inPlane
        var columns = input
        if !shape.isPointwise {
            let unfolded = own + phases.count
            unfold(
                phases, channels: shape.inGroup, input: input, plane: own, columns: unfolded, stride: shape.positions)
            columns = UnsafePointer(unfolded)
        }
        let gradient = PositionMatrix(
            pointer: g + sample * shape.outSampleCount + group * shape.outGroup * shape.positions,
            stride: shape.positions, features: shape.outGroup, isFeatureMajor: true)
        let unfolded = PositionMatrix(
            pointer: columns, stride: shape.positions, features: shape.unfoldedRows, isFeatureMajor: true)
        return GhostNorm.squared(
            unfolded, gradient, positions: shape.positions, includeBias: false, scratch: grams,
            instantiated: grams + GhostNorm.gramCount(positions: shape.positions))
    }
}

/// squaredNorms[b] += the sum of `body(b, part, worker)` over the parts, always in the order of the parts.
func addPartialNorms(
    samples: Int, parts: Int, into squaredNorms: UnsafeMutablePointer<Double>, pool: ThreadPool,
    _ body: (_ sample: Int, _ part: Int, _ worker: Int) -> Double
) {
    if samples == 0 || parts == 0 { return }
    if parts == 1 {
        pool.forEach(samples) { sample, worker in squaredNorms[sample] += body(sample, 0, worker) }
        return
    }
    withUnsafeTemporaryAllocation(of: Double.self, capacity: samples * parts) { partial in
        let sums = partial.baseAddress!
        pool.forEach(samples * parts) { index, worker in
            sums[index] = body(index / parts, index % parts, worker)
        }
        for sample in 0..<samples {
            for part in 0..<parts { squaredNorms[sample] += sums[sample * parts + part] }
        }
    }
}
