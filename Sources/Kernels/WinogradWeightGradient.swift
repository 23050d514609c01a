import CVectorKernels

/// Every sample's own weight gradient of a 3x3 convolution of stride 1, by the adjoint of F(4x4, 3x3): tiles of input and
/// output gradient are transformed, multiplied in 36 matrix products and transformed back.
///
/// A clipped sum may use these gradients only where their norms are taken of the very same numbers: they round otherwise
/// than direct summation.
struct WinogradWeightGradient {
    private let shape: ConvolutionShape
    private let tilesAcross: Int
    private let tileCount: Int

    private static let tileSide = 4
    private static let points = 36
    /// Below, the products have too short a common dimension.
    private static let fewestTiles = 9

    /// Nil where direct summation serves as well.
    init?(_ shape: ConvolutionShape, workers: Int) {
        let (y, x) = (shape.window.y, shape.window.x)
        let isFitting = [y, x].allSatisfy { $0.kernel == 3 && $0.stride == 1 && $0.dilation == 1 }
        guard shape.kernel.count == 2, isFitting, shape.inGroup >= 16, shape.outGroup >= 16,
            shape.batch * shape.groups >= workers
        else { return nil }
        self.shape = shape
        tilesAcross = (x.output + Self.tileSide - 1) / Self.tileSide
        tileCount = (y.output + Self.tileSide - 1) / Self.tileSide * tilesAcross
        guard tileCount >= Self.fewestTiles, sampleCost < shape.directGradientCost else { return nil }
    }

    /// Multiply-adds of one sample, with what the transforms take counted in them.
    var sampleCost: Double {
        let (rows, columns) = (Double(shape.outGroup), Double(shape.inGroup))
        let tile = 1.5 * Double(Self.points) * rows * columns + 500 * (rows + columns)
        return Double(shape.groups) * (Double(tileCount) * tile + 250 * rows * columns)
    }

    private var kernelCount: Int { shape.outGroup * shape.inGroup }
    /// Distances between planes of two points: off the period of the caches.
    private var inPlane: Int { shape.inGroup * tileCount + 16 }
    private var outPlane: Int { shape.outGroup * tileCount + 16 }
    private var kernelPlane: Int { kernelCount + 16 }
    private var workerCount: Int { Self.points * (inPlane + outPlane + kernelPlane) }

    /// Elements of scratch for a pool of `workers` threads.
    func scratchCount(workers: Int) -> Int { workers * workerCount }

    /// dw:[batch, outChannels, inChannels/groups, 3, 3]
    func run(
        _ x: UnsafePointer<Float>, g: UnsafePointer<Float>, dw: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let (y, across) = (shape.window.y, shape.window.x)
        let places = (0..<tileCount).map { (y: $0 / tilesAcross * Self.tileSide, x: $0 % tilesAcross * Self.tileSide) }
        let targets = places.map { vk_tile(offset: 0, y: Int32($0.y), x: Int32($0.x)) }
        let sources = places.map {
            vk_tile(offset: 0, y: Int32($0.y - y.padBegin), x: Int32($0.x - across.padBegin))
        }
        let (rows, columns, tiles) = (shape.outGroup, shape.inGroup, tileCount)
        pool.forEach(shape.batch * shape.groups) { index, worker in
            let inputs = scratch + worker * workerCount
            let gradients = inputs + Self.points * inPlane
            let products = gradients + Self.points * outPlane
            for channel in 0..<columns {
                vector.pointee.winograd_input(
                    x + (index * columns + channel) * shape.inPlane, Int64(y.input), Int64(across.input), sources,
                    Int64(tiles), inputs + channel * tiles, Int64(inPlane))
            }
            for channel in 0..<rows {
                vector.pointee.winograd_output_adjoint(
                    g + (index * rows + channel) * shape.positions, Int64(y.output), Int64(across.output), targets,
                    Int64(tiles), gradients + channel * tiles, Int64(outPlane))
            }
            for point in 0..<Self.points {
                serialGemm(
                    transposeA: false, transposeB: true, m: rows, n: columns, k: tiles, alpha: 1,
                    a: gradients + point * outPlane, lda: tiles, b: inputs + point * inPlane, ldb: tiles, beta: 0,
                    c: products + point * kernelPlane, ldc: columns)
            }
            vector.pointee.winograd_weights_adjoint(
                products, Int64(kernelPlane), dw + index * kernelCount * 9, Int64(kernelCount))
        }
    }
}

extension ConvolutionShape {
    /// Multiply-adds of one sample's own weight gradient as `convolutionPerSampleWeightGradient` forms it.
    public func perSampleGradientCost(workers: Int) -> Double {
        WinogradWeightGradient(self, workers: workers)?.sampleCost ?? directGradientCost
    }

    fileprivate var directGradientCost: Double { Double(outChannels) * Double(unfoldedRows) * Double(positions) }
}
