import Kernels
import Testing

@Suite struct ConvolutionTests {
    /// Random shapes of every rank, and those that take a path of their own.
    static let shapes: [ConvolutionShape] = {
        var random = SeededValues(3)
        var shapes: [ConvolutionShape] = [
            ConvolutionShape(
                batch: 37, inChannels: 1, outChannels: 16, inSpatial: [13, 13], kernel: [8, 8], strides: [2, 2],
                dilations: [1, 1], padsBegin: [3, 3], padsEnd: [3, 3]),
            ConvolutionShape(
                batch: 30, inChannels: 4, outChannels: 5, inSpatial: [7, 7], kernel: [4, 4], strides: [2, 2],
                dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0]),
            ConvolutionShape(
                batch: 5, inChannels: 6, outChannels: 9, inSpatial: [5, 4], kernel: [1, 1], strides: [1, 1],
                dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0]),
            ConvolutionShape(
                batch: 1, inChannels: 6, outChannels: 4, groups: 2, inSpatial: [9], kernel: [1], strides: [1],
                dilations: [1], padsBegin: [0], padsEnd: [0]),
            ConvolutionShape(
                batch: 4, inChannels: 6, outChannels: 6, groups: 6, inSpatial: [9, 8], kernel: [3, 3], strides: [1, 1],
                dilations: [1, 1], padsBegin: [1, 1], padsEnd: [1, 1]),
            ConvolutionShape(
                batch: 1, inChannels: 3, outChannels: 6, groups: 3, inSpatial: [11], kernel: [3], strides: [2],
                dilations: [2], padsBegin: [3], padsEnd: [0]),
            ConvolutionShape(
                batch: 1, inChannels: 3, outChannels: 4, inSpatial: [40, 40], kernel: [3, 3], strides: [1, 1],
                dilations: [1, 1], padsBegin: [1, 1], padsEnd: [1, 1]),
            ConvolutionShape(
                batch: 2, inChannels: 1, outChannels: 2, inSpatial: [3000], kernel: [5], strides: [2], dilations: [3],
                padsBegin: [4], padsEnd: [1]),
            ConvolutionShape(
                batch: 2, inChannels: 2, outChannels: 3, inSpatial: [3, 9, 70], kernel: [2, 3, 1], strides: [1, 2, 1],
                dilations: [1, 1, 1], padsBegin: [0, 1, 0], padsEnd: [1, 0, 0]),
            // Enough channels for minimal filtering: whole and cut tiles, pads of 0 to 2, groups, more than one block.
            ConvolutionShape(
                batch: 7, inChannels: 32, outChannels: 40, inSpatial: [14, 13], kernel: [3, 3], strides: [1, 1],
                dilations: [1, 1], padsBegin: [1, 1], padsEnd: [1, 1]),
            ConvolutionShape(
                batch: 3, inChannels: 64, outChannels: 48, groups: 2, inSpatial: [18, 9], kernel: [3, 3],
                strides: [1, 1], dilations: [1, 1], padsBegin: [0, 2], padsEnd: [2, 0]),
            // The kernel reaches the input from padding only, and strides that leave inputs unseen.
            ConvolutionShape(
                batch: 3, inChannels: 2, outChannels: 2, inSpatial: [2, 5], kernel: [3, 2], strides: [4, 3],
                dilations: [2, 1], padsBegin: [5, 3], padsEnd: [4, 4]),
        ]
        while shapes.count < 60 {
            let rank = random.int(1...3)
            let groups = random.int(1...3)
            let sizes = { (range: ClosedRange<Int>) in (0..<rank).map { _ in random.int(range) } }
            let shape = ConvolutionShape(
                batch: random.int(1...5), inChannels: groups * random.int(1...3),
                outChannels: groups * random.int(1...3), groups: groups, inSpatial: sizes(1...7), kernel: sizes(1...3),
                strides: sizes(1...3), dilations: sizes(1...2), padsBegin: sizes(0...2), padsEnd: sizes(0...2))
            if shape.outputCount > 0 { shapes.append(shape) }
        }
        return shapes
    }()

    @Test(arguments: shapes) func forwardAndGradients(shape: ConvolutionShape) {
        var random = SeededValues(4)
        let reference = ConvolutionReference(shape)
        let x = random.floats(shape.inputCount)
        let w = random.floats(shape.weightCount)
        let bias = random.floats(shape.outChannels)
        let g = random.floats(shape.outputCount)
        let exact = reference.forward(x, w)
        let exactGradient = reference.inputGradient(g, w)
        for pool in pools {
            let workers = pool.threadCount
            for usesBias in [false, true] {
                var out = [Float](repeating: .nan, count: shape.outputCount)
                let stayed = withScratch(convolutionForwardScratchCount(shape, workers: workers)) { scratch in
                    bias.withUnsafeBufferPointer {
                        convolutionForward(
                            shape, x: x, w: w, bias: usesBias ? $0.baseAddress : nil, out: &out, scratch: scratch,
                            pool: pool)
                    }
                }
                let expected = exact.enumerated().map {
                    $1 + (usesBias ? Double(bias[$0 / shape.positions % shape.outChannels]) : 0)
                }
                #expect(stayed && error(out, expected) < 1e-5)
            }
            var dx = [Float](repeating: .nan, count: shape.inputCount)
            let stayed = withScratch(convolutionInputGradientScratchCount(shape, workers: workers)) {
                convolutionInputGradient(shape, g: g, w: w, dx: &dx, scratch: $0, pool: pool)
            }
            #expect(stayed && error(dx, exactGradient) < 1e-5)
        }
    }

    @Test(arguments: shapes) func weightGradients(shape: ConvolutionShape) {
        var random = SeededValues(5)
        var x = random.floats(shape.inputCount)
        var g = random.floats(shape.outputCount)
        let exact = ConvolutionReference(shape).perSampleWeightGradient(x, g)
        var factors = random.floats(shape.batch)
        let start = random.floats(shape.weightCount)
        for skips in [false, true] {
            if skips, shape.batch > 1 {
                // The sample is selected out: whatever it holds must not be seen.
                let bad = shape.batch / 2
                factors[bad] = 0
                for index in 0..<x.count / shape.batch { x[bad * (x.count / shape.batch) + index] = .nan }
                for index in 0..<g.count / shape.batch { g[bad * (g.count / shape.batch) + index] = .infinity }
            }
            for pool in pools {
                let count = convolutionWeightGradientScratchCount(shape, workers: pool.threadCount)
                for accumulate in [false, true] {
                    var dw = accumulate ? start : start.map { _ in .nan }
                    let stayed = withScratch(count) {
                        convolutionWeightGradient(
                            shape, x: x, g: g, factors: factors, dw: &dw, accumulate: accumulate, scratch: $0,
                            pool: pool)
                    }
                    var expected = accumulate ? start.map(Double.init) : start.map { _ in 0 }
                    for sample in 0..<shape.batch {
                        for index in expected.indices {
                            expected[index] += Double(factors[sample]) * exact[sample][index]
                        }
                    }
                    #expect(stayed && error(dw, expected) < 1e-5)
                }
                if skips { continue }
                var dw = start.map { _ in Float.nan }
                let stayed = withScratch(count) {
                    convolutionWeightGradient(shape, x: x, g: g, dw: &dw, accumulate: false, scratch: $0, pool: pool)
                }
                let expected = exact.reduce([Double](repeating: 0, count: dw.count)) { zip($0, $1).map { $0 + $1 } }
                #expect(stayed && error(dw, expected) < 1e-5)
            }
        }
    }

    @Test(arguments: shapes) func perSample(shape: ConvolutionShape) {
        var random = SeededValues(6)
        let x = random.floats(shape.inputCount)
        let g = random.floats(shape.outputCount)
        let exact = ConvolutionReference(shape).perSampleWeightGradient(x, g)
        let exactNorms = exact.map { 10 + $0.reduce(0) { $0 + $1 * $1 } }
        for pool in pools {
            let workers = pool.threadCount
            var dw = [Float](repeating: .nan, count: shape.batch * shape.weightCount)
            var stayed = withScratch(convolutionPerSampleWeightGradientScratchCount(shape, workers: workers)) {
                convolutionPerSampleWeightGradient(shape, x: x, g: g, dw: &dw, scratch: $0, pool: pool)
            }
            #expect(stayed && error(dw, exact.flatMap { $0 }) < 1e-5)
            var norms = [Double](repeating: 10, count: shape.batch)
            stayed = withScratch(convolutionInstantiatedNormsScratchCount(shape, workers: workers)) {
                convolutionInstantiatedNorms(shape, x: x, g: g, into: &norms, scratch: $0, pool: pool)
            }
            #expect(stayed && error(norms, exactNorms) < 1e-5)
            norms = [Double](repeating: 10, count: shape.batch)
            stayed = withScratch(convolutionGhostNormsScratchCount(shape, workers: workers)) {
                convolutionGhostNorms(shape, x: x, g: g, into: &norms, scratch: $0, pool: pool)
            }
            #expect(stayed && error(norms, exactNorms) < 1e-5)
        }
    }

    @Test func outputSizeFollowsTheSpecification() {
        let shape = ConvolutionShape(
            batch: 1, inChannels: 1, outChannels: 16, inSpatial: [28, 3], kernel: [8, 5], strides: [2, 1],
            dilations: [1, 2], padsBegin: [3, 1], padsEnd: [3, 1])
        #expect(shape.outSpatial == [14, 0])
        #expect(shape.positions == 0 && shape.unfoldedRows == 40)
    }

    /// Which thread took which piece must not show: a fixed seed gives identical runs.
    @Test func repeatedRunsAreIdentical() {
        var random = SeededValues(19)
        let pool = ThreadPool(threads: 3)
        for shape in Self.shapes.prefix(9) {
            let x = random.floats(shape.inputCount)
            let g = random.floats(shape.outputCount)
            let factors = random.floats(shape.batch)
            var results: Set<[Float]> = []
            for _ in 0..<10 {
                var dw = [Float](repeating: 0, count: shape.weightCount)
                let stayed = withScratch(convolutionWeightGradientScratchCount(shape, workers: 3)) {
                    convolutionWeightGradient(
                        shape, x: x, g: g, factors: factors, dw: &dw, accumulate: false, scratch: $0, pool: pool)
                }
                #expect(stayed)
                results.insert(dw)
            }
            #expect(results.count == 1)
        }
    }

    /// A kernel larger than the padded input, and an empty batch: nothing is read, every gradient is zero.
    @Test(arguments: [0, 2], [1, 2]) func emptyOutput(batch: Int, groups: Int) {
        let shape = ConvolutionShape(
            batch: batch, inChannels: 2, outChannels: 2, groups: groups, inSpatial: [2, batch == 0 ? 9 : 2],
            kernel: [1, 4], strides: [1, 1], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0])
        #expect(shape.outputCount == 0)
        let x = [Float](repeating: .nan, count: max(1, shape.inputCount))
        let w = [Float](repeating: .nan, count: shape.weightCount)
        var dx = [Float](repeating: 1, count: shape.inputCount)
        var dw = [Float](repeating: 1, count: shape.weightCount)
        var perSample = [Float](repeating: 1, count: batch * shape.weightCount)
        var norms = [Double](repeating: 4, count: batch)
        let stayed = withScratch(convolutionWeightGradientScratchCount(shape, workers: 2)) { scratch in
            convolutionForward(shape, x: x, w: w, out: scratch, scratch: scratch, pool: pools[1])
            convolutionInputGradient(shape, g: x, w: w, dx: &dx, scratch: scratch, pool: pools[1])
            convolutionWeightGradient(
                shape, x: x, g: x, dw: &dw, accumulate: false, scratch: scratch, pool: pools[1])
            convolutionPerSampleWeightGradient(shape, x: x, g: x, dw: &perSample, scratch: scratch, pool: pools[1])
            convolutionInstantiatedNorms(shape, x: x, g: x, into: &norms, scratch: scratch, pool: pools[1])
            convolutionGhostNorms(shape, x: x, g: x, into: &norms, scratch: scratch, pool: pools[1])
        }
        #expect(stayed)
        #expect((dx + dw + perSample).allSatisfy { $0 == 0 })
        #expect(norms.allSatisfy { $0 == 4 })
    }
}
