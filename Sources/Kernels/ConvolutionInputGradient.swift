/// Scratch elements of `convolutionInputGradient` for a pool of `workers` threads.
public func convolutionInputGradientScratchCount(_ shape: ConvolutionShape, workers: Int) -> Int {
    if let winograd = WinogradConvolution(inputGradient: shape, workers: workers) { return winograd.scratchCount }
    return workers * (shape.isDepthwise ? PhasePlane.capacity(shape.window) : ConvolutionScratch.count(shape))
}

/// dx = the gradient of the input from g = the gradient of the output; dx is overwritten.
///
/// As the forward pass of a transposed convolution: `g` is its input, `dx` its output (without bias).
public func convolutionInputGradient(
    _ shape: ConvolutionShape, g: UnsafePointer<Float>, w: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    if shape.inputCount == 0 { return }
    if shape.positions == 0 {
        dx.update(repeating: 0, count: shape.inputCount)
        return
    }
    if let winograd = WinogradConvolution(inputGradient: shape, workers: pool.threadCount) {
        winograd.run(g, w: w, bias: nil, out: dx, scratch: scratch, pool: pool)
        return
    }
    if shape.isDepthwise {
        depthwiseInputGradient(shape, g: g, w: w, dx: dx, scratch: scratch, pool: pool)
        return
    }
    let tiling = ConvolutionTiling(shape, sampleCount: shape.batch, workers: pool.threadCount)
    let units = tiling.tilesOfSamples * shape.groups
    // The channels of one sample are shared out when there are fewer samples than workers.
    let parts = units >= pool.threadCount ? 1 : min(shape.inGroup, (pool.threadCount + units - 1) / units)
    pool.forEach(units * parts) { index, worker in
        let part = evenPart(index % parts, of: parts, count: shape.inGroup)
        let group = index / parts % shape.groups
        let tile = index / parts / shape.groups * tiling.blocksPerSample
        let own = ConvolutionScratch(shape, scratch, worker: worker)
        for sample in tiling.tile(tile).samples {
            let start = sample * shape.inSampleCount + (group * shape.inGroup + part.lowerBound) * shape.inPlane
            (dx + start).update(repeating: 0, count: part.count * shape.inPlane)
        }
        for block in 0..<tiling.blocksPerSample {
            inputGradientTile(
                shape, g: g, w: w, dx: dx, group: group, channels: part, tile: tiling.tile(tile + block), own: own)
        }
    }
}

/// Adds what the output positions of one tile give to some input channels of one group.
private func inputGradientTile(
    _ shape: ConvolutionShape, g: UnsafePointer<Float>, w: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>,
    group: Int, channels: Range<Int>, tile: (samples: Range<Int>, positions: Range<Int>), own: ConvolutionScratch
) {
    let depth = shape.outGroup
    let kernel = shape.window.kernelCount
    let rows = channels.count * kernel
    let width = tile.samples.count * tile.positions.count
    let gradient = shape.gradientTile(
        g, group: group, samples: tile.samples, positions: tile.positions, factors: nil, scratch: own, sample: { $0 })
    let weight = w + group * depth * shape.unfoldedRows + channels.lowerBound * kernel
    let input = { (sample: Int) in
        dx + sample * shape.inSampleCount + (group * shape.inGroup + channels.lowerBound) * shape.inPlane
    }
    if shape.isPointwise {
        serialGemm(
            transposeA: true, transposeB: false, m: rows, n: width, k: depth, alpha: 1, a: weight,
            lda: shape.unfoldedRows, b: gradient.pointer, ldb: gradient.stride, beta: 0,
            c: input(tile.samples.lowerBound) + tile.positions.lowerBound, ldc: shape.inPlane)
        return
    }
    serialGemm(
        transposeA: true, transposeB: false, m: rows, n: width, k: depth, alpha: 1, a: weight,
        lda: shape.unfoldedRows, b: gradient.pointer, ldb: gradient.stride, beta: 0, c: own.columns, ldc: width)
    let phases = PhasePlane(shape.window, positions: tile.positions)
    for (place, sample) in tile.samples.enumerated() {
        foldAdd(
            phases, channels: channels.count,
            columns: own.columns + place * tile.positions.count, stride: width, plane: own.plane, output: input(sample))
    }
}

extension ConvolutionShape {
    /// The output gradient of one group of `samples` at `positions`, each sample times its factor:
    /// [outChannels/groups, samples * positions] with its row stride. Copied into the worker's tile only if it must be.
    func gradientTile(
        _ g: UnsafePointer<Float>, group: Int, samples: Range<Int>, positions: Range<Int>,
        factors: UnsafePointer<Float>?, scratch: ConvolutionScratch, sample: (Int) -> Int
    ) -> (pointer: UnsafePointer<Float>, stride: Int) {
        let start = g + group * outGroup * self.positions + positions.lowerBound
        if samples.count == 1, factors == nil {
            return (start + sample(samples.lowerBound) * outSampleCount, self.positions)
        }
        let width = samples.count * positions.count
        for (place, index) in samples.enumerated() {
            let source = start + sample(index) * outSampleCount
            let target = scratch.tile + place * positions.count
            for row in 0..<outGroup {
                if let factor = factors?[sample(index)] {
                    copyScaled(target + row * width, factor, source + row * self.positions, positions.count)
                } else {
                    copyRow(target + row * width, source + row * self.positions, positions.count)
                }
            }
        }
        return (UnsafePointer(scratch.tile), width)
    }
}
