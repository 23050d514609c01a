/// How the output positions of a batch are cut into pieces that one worker unfolds and multiplies at a time: several
/// small samples side by side, or a stretch of a large one.
struct ConvolutionTiling {
    /// Samples per tile; 1 unless a tile holds whole samples.
    let samples: Int
    /// Positions per tile of one sample.
    let block: Int
    let blocksPerSample: Int
    let tilesOfSamples: Int
    private let shape: ConvolutionShape
    private let sampleCount: Int

    /// Unfolded elements that should stay in a core's second-level cache.
    private static let cachedElements = 65536

    /// Positions that any tile of this shape holds at most.
    static func capacity(_ shape: ConvolutionShape) -> Int {
        min(shape.positions * max(1, shape.batch), targetPositions(shape))
    }

    private static func targetPositions(_ shape: ConvolutionShape) -> Int {
        min(1024, max(256, cachedElements / shape.unfoldedRows))
    }

    /// `sampleCount` samples (those that take part) for `workers` threads.
    init(_ shape: ConvolutionShape, sampleCount: Int, workers: Int) {
        self.shape = shape
        self.sampleCount = sampleCount
        let target = Self.targetPositions(shape)
        let positions = max(1, shape.positions)
        var blocks = 1
        if positions >= target {
            samples = 1
            blocks = (positions + target - 1) / target
        } else if shape.isPointwise {
            samples = 1
        } else {
            samples = max(1, min(target / positions, sampleCount / (2 * workers)))
        }
        let units = max(1, sampleCount * shape.groups)
        if samples == 1, units * blocks < workers {
            blocks = min((workers + units - 1) / units, (positions + 15) / 16)
        }
        block = (positions + blocks - 1) / blocks
        blocksPerSample = (positions + block - 1) / block
        tilesOfSamples = (sampleCount + samples - 1) / samples
    }

    var count: Int { tilesOfSamples * blocksPerSample }

    func tile(_ index: Int) -> (samples: Range<Int>, positions: Range<Int>) {
        let first = index / blocksPerSample * samples
        let start = index % blocksPerSample * block
        return (
            first..<min(sampleCount, first + samples), min(start, shape.positions)..<min(shape.positions, start + block)
        )
    }
}

/// One worker's share of the scratch of a convolution.
struct ConvolutionScratch {
    let plane: UnsafeMutablePointer<Float>
    let columns: UnsafeMutablePointer<Float>
    /// outChannels/groups rows of a tile.
    let tile: UnsafeMutablePointer<Float>

    static func count(_ shape: ConvolutionShape) -> Int {
        PhasePlane.capacity(shape.window)
            + (shape.unfoldedRows + shape.outGroup) * ConvolutionTiling.capacity(shape)
    }

    init(_ shape: ConvolutionShape, _ scratch: UnsafeMutablePointer<Float>, worker: Int) {
        plane = scratch + worker * Self.count(shape)
        columns = plane + PhasePlane.capacity(shape.window)
        tile = columns + shape.unfoldedRows * ConvolutionTiling.capacity(shape)
    }
}

extension ConvolutionShape {
    /// The unfolded input of one group of `samples` at `positions`: [unfoldedRows, samples * positions] with its row stride.
    /// `sample` gives the index in the batch. Uses the worker's columns unless the input serves as it is.
    func columns(
        _ x: UnsafePointer<Float>, group: Int, samples: Range<Int>, positions: Range<Int>,
        scratch: ConvolutionScratch, sample: (Int) -> Int
    ) -> (pointer: UnsafePointer<Float>, stride: Int) {
        if isPointwise {
            let start = x + sample(samples.lowerBound) * inSampleCount + group * inGroup * inPlane
            return (start + positions.lowerBound, inPlane)
        }
        let stride = samples.count * positions.count
        let phases = PhasePlane(window, positions: positions)
        for (place, index) in samples.enumerated() {
            unfold(
                phases, channels: inGroup,
                input: x + sample(index) * inSampleCount + group * inGroup * inPlane, plane: scratch.plane,
                columns: scratch.columns + place * positions.count, stride: stride)
        }
        return (UnsafePointer(scratch.columns), stride)
    }
}
