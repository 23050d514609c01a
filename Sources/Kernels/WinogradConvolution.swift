import CVectorKernels

/// A 3x3 convolution of stride 1 by Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016): a quarter of the
/// multiplications of direct summation, in 36 matrix products.
///
/// Serves the forward pass and the input gradient, which is the same with the kernel turned and the channels exchanged.
/// Weight gradients and norms are summed directly, since the guarantee rests on what they round to.
struct WinogradConvolution {
    /// Channels of one group.
    private let inChannels: Int
    private let outChannels: Int
    private let groups: Int
    private let batch: Int
    private let input: Plane
    private let output: Plane
    /// Where the first tile's input starts.
    private let origin: (y: Int, x: Int)
    private let isGradient: Bool
    private let tilesAcross: Int
    private let tilesPerSample: Int
    /// Tiles that one worker transforms and multiplies at a time.
    private let block: Int
    private let workers: Int

    private struct Plane {
        let height: Int
        let width: Int
        var count: Int { height * width }
    }

    /// Outputs of a tile along an axis.
    private static let tileSide = 4
    /// Elements of a transformed tile.
    private static let points = 36
    /// Transformed elements of a block that should stay in a core's caches.
    private static let cachedElements = 393_216

    /// Nil where direct summation serves as well.
    init?(forward shape: ConvolutionShape, workers: Int) {
        self.init(shape, isGradient: false, workers: workers)
    }

    /// Nil where direct summation serves as well.
    init?(inputGradient shape: ConvolutionShape, workers: Int) {
        self.init(shape, isGradient: true, workers: workers)
    }

    private init?(_ shape: ConvolutionShape, isGradient: Bool, workers: Int) {
        let (y, x) = (shape.window.y, shape.window.x)
        let isFitting = [y, x].allSatisfy { $0.kernel == 3 && $0.stride == 1 && $0.dilation == 1 }
        guard shape.kernel.count == 2, isFitting, shape.batch > 0 else { return nil }
        self.isGradient = isGradient
        self.workers = workers
        groups = shape.groups
        batch = shape.batch
        inChannels = isGradient ? shape.outGroup : shape.inGroup
        outChannels = isGradient ? shape.inGroup : shape.outGroup
        let data = Plane(height: y.input, width: x.input)
        let result = Plane(height: y.output, width: x.output)
        input = isGradient ? result : data
        output = isGradient ? data : result
        origin = isGradient ? (y.padBegin - 2, x.padBegin - 2) : (-y.padBegin, -x.padBegin)
        tilesAcross = (output.width + Self.tileSide - 1) / Self.tileSide
        tilesPerSample = (output.height + Self.tileSide - 1) / Self.tileSide * tilesAcross
        let tiles = batch * tilesPerSample
        let fitting = Self.cachedElements / (Self.points * (inChannels + outChannels))
        let share = (tiles + workers - 1) / workers
        block = min(max(48, min(fitting, 256)) / 16 * 16, (share + 7) / 8 * 8)
        guard inChannels >= 16, outChannels >= 16, block >= 8 else { return nil }

        // In multiply-adds: small products run at about two thirds of a large one's speed, transforming a tile takes
        // some 500 per channel, transforming and reading a kernel some 1,500.
        let (pairs, all) = (Double(inChannels * outChannels), Double(inChannels + outChannels))
        let cost = Double(tiles) * (pairs * Double(Self.points) * 1.5 + all * 500) + pairs * 1500
        guard cost < pairs * 9 * Double(batch * result.count) else { return nil }
    }

    private var kernelCount: Int { inChannels * outChannels }
    /// Distances between the planes of two points: a cache line more than a multiple of the cache's own period, or the
    /// 36 writes of one tile would all compete for the same lines.
    private var kernelPlane: Int { groups * kernelCount + 16 }
    private var inPlane: Int { inChannels * block + 16 }
    private var outPlane: Int { outChannels * block + 16 }
    private var blockCount: Int { (batch * tilesPerSample + block - 1) / block }

    /// Elements of scratch for all workers.
    var scratchCount: Int { Self.points * (kernelPlane + workers * (inPlane + outPlane)) }

    /// out = x convolved with the kernel, plus `bias` of [outChannels] in all groups together if given.
    func run(
        _ x: UnsafePointer<Float>, w: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
        out: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        transformKernels(w, into: scratch, pool: pool)
        let transformed = scratch + Self.points * kernelPlane
        let share = Self.points * (inPlane + outPlane)
        pool.forEach(blockCount * groups) { index, worker in
            let group = index % groups
            let own = transformed + worker * share
            withUnsafeTemporaryAllocation(of: vk_tile.self, capacity: 2 * block) { tiles in
                let sources = tiles.baseAddress!
                let targets = sources + block
                let count = place(block: index / groups, sources: sources, targets: targets)
                for channel in 0..<inChannels {
                    vector.pointee.winograd_input(
                        x + (group * inChannels + channel) * input.count, Int64(input.height), Int64(input.width),
                        sources, Int64(count), own + channel * block, Int64(inPlane))
                }
                let products = own + Self.points * inPlane
                for point in 0..<Self.points {
                    serialGemm(
                        transposeA: false, transposeB: false, m: outChannels, n: count, k: inChannels, alpha: 1,
                        a: scratch + point * kernelPlane + group * kernelCount, lda: inChannels,
                        b: own + point * inPlane, ldb: block, beta: 0,
                        c: products + point * outPlane, ldc: block)
                }
                for channel in 0..<outChannels {
                    let outChannel = group * outChannels + channel
                    vector.pointee.winograd_output(
                        products + channel * block, Int64(outPlane), targets, Int64(count),
                        bias?[outChannel] ?? 0, out + outChannel * output.count, Int64(output.height),
                        Int64(output.width))
                }
            }
        }
    }

    /// kernels[point][group][out][in]
    private func transformKernels(
        _ w: UnsafePointer<Float>, into kernels: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        pool.forRanges(groups * outChannels, grain: max(1, 4096 / inChannels)) { rows, _ in
            for row in rows {
                // A gradient's row is an input channel: it takes that channel's kernels from all output channels.
                let source =
                    isGradient
                    ? w + (row / outChannels * kernelCount + row % outChannels) * 9 : w + row * inChannels * 9
                vector.pointee.winograd_weights(
                    source, Int64(isGradient ? outChannels * 9 : 9), isGradient ? 1 : 0, kernels + row * inChannels,
                    Int64(kernelPlane), Int64(inChannels))
            }
        }
    }

    /// The places of a block's tiles in input and output.
    /// - Returns: their number.
    private func place(
        block index: Int, sources: UnsafeMutablePointer<vk_tile>, targets: UnsafeMutablePointer<vk_tile>
    ) -> Int {
        let first = index * block
        let count = min(block, batch * tilesPerSample - first)
        let (inSample, outSample) = (groups * inChannels * input.count, groups * outChannels * output.count)
        for position in 0..<count {
            let (sample, tile) = (first + position).quotientAndRemainder(dividingBy: tilesPerSample)
            let y = tile / tilesAcross * Self.tileSide
            let x = tile % tilesAcross * Self.tileSide
            sources[position] = vk_tile(
                offset: Int64(sample * inSample), y: Int32(y + origin.y), x: Int32(x + origin.x))
            targets[position] = vk_tile(offset: Int64(sample * outSample), y: Int32(y), x: Int32(x))
        }
        return count
    }
}
