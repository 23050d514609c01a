import Kernels
import Testing

@Suite struct PoolingTests {
    static let shapes: [PoolingShape] = {
        var random = SeededValues(16)
        return (0..<80).map { _ in
            let rank = random.int(1...3)
            let sizes = { (range: ClosedRange<Int>) in (0..<rank).map { _ in random.int(range) } }
            let input = sizes(3...9)
            let kernel = sizes(1...3)
            let strides = sizes(1...3)
            let dilations = kernel.enumerated().map { $1 == 1 || input[$0] < 5 ? 1 : random.int(1...2) }
            let begin = kernel.map { random.int(0...$0 / 2) }
            let end = kernel.map { random.int(0...$0 / 2) }
            // As ceil_mode gives, where one more window still starts inside the input or its first pads.
            let output = (0..<rank).map { axis in
                let room = input[axis] + begin[axis] + end[axis] - dilations[axis] * (kernel[axis] - 1) - 1
                let more = max(0, room) / strides[axis] + 1
                return more * strides[axis] < input[axis] + begin[axis] ? more + random.int(0...1) : more
            }
            return PoolingShape(
                planes: random.int(1...7), inSpatial: input, kernel: kernel, strides: strides, dilations: dilations,
                padsBegin: begin, padsEnd: end, outSpatial: output)
        }
    }()

    /// The coordinates of the window of an output, in order: those inside the input, and how many are input or declared pad.
    private func window(_ shape: PoolingShape, _ output: [Int]) -> (inside: [Int], padded: Int) {
        var inside: [Int] = []
        var padded = 0
        for tap in ConvolutionReference.points(shape.kernel) {
            let at = tap.indices.map {
                output[$0] * shape.strides[$0] + tap[$0] * shape.dilations[$0] - shape.padsBegin[$0]
            }
            if at.indices.allSatisfy({
                at[$0] >= -shape.padsBegin[$0] && at[$0] < shape.inSpatial[$0] + shape.padsEnd[$0]
            }) {
                padded += 1
            }
            if at.indices.allSatisfy({ at[$0] >= 0 && at[$0] < shape.inSpatial[$0] }) {
                inside.append(zip(at, shape.inSpatial).reduce(0) { $0 * $1.1 + $1.0 })
            }
        }
        return (inside, padded)
    }

    @Test(arguments: shapes) func maxPool(shape: PoolingShape) {
        var random = SeededValues(17)
        // Few values, so that ties occur.
        var x = (0..<shape.planes * shape.inPlane).map { _ in Float(random.int(0...5)) }
        x[0] = -.infinity
        if shape.planes > 1 { x[shape.inPlane + shape.inPlane / 2] = .nan }
        let g = random.floats(shape.planes * shape.outPlane)
        var expected: [(Float, Int64)] = []
        var gradient = [Double](repeating: 0, count: x.count)
        for plane in 0..<shape.planes {
            for output in ConvolutionReference.points(shape.outSpatial) {
                var best: (Float, Int64) = (-.infinity, -1)
                for place in window(shape, output).inside {
                    let value = x[plane * shape.inPlane + place]
                    if value > best.0 || value.isNaN || best.1 < 0 { best = (value, Int64(place)) }
                }
                if best.1 >= 0 { gradient[plane * shape.inPlane + Int(best.1)] += Double(g[expected.count]) }
                expected.append(best)
            }
        }
        for pool in pools {
            var out = [Float](repeating: 0, count: expected.count)
            var indices = [Int64](repeating: 0, count: expected.count)
            maxPoolForward(shape, x: x, out: &out, indices: &indices, pool: pool)
            #expect(indices == expected.map { $0.1 })
            #expect(zip(out, expected).allSatisfy { $0 == $1.0 || ($0.isNaN && $1.0.isNaN) })
            var dx = [Float](repeating: .nan, count: x.count)
            maxPoolBackward(shape, g: g, indices: indices, dx: &dx, pool: pool)
            #expect(error(dx, gradient) < 1e-6)
        }
    }

    @Test(arguments: shapes) func averagePool(shape: PoolingShape) {
        var random = SeededValues(18)
        let x = random.floats(shape.planes * shape.inPlane)
        let g = random.floats(shape.planes * shape.outPlane)
        for countsPads in [false, true] {
            var expected: [Double] = []
            var gradient = [Double](repeating: 0, count: x.count)
            for plane in 0..<shape.planes {
                for output in ConvolutionReference.points(shape.outSpatial) {
                    let (inside, padded) = window(shape, output)
                    let count = countsPads ? padded : inside.count
                    let share = count == 0 ? 0 : 1 / Double(count)
                    for place in inside {
                        gradient[plane * shape.inPlane + place] += share * Double(g[expected.count])
                    }
                    expected.append(share * inside.reduce(0) { $0 + Double(x[plane * shape.inPlane + $1]) })
                }
            }
            for pool in pools {
                var out = [Float](repeating: .nan, count: expected.count)
                averagePoolForward(shape, countIncludePad: countsPads, x: x, out: &out, pool: pool)
                #expect(error(out, expected) < 1e-5)
                var dx = [Float](repeating: .nan, count: x.count)
                averagePoolBackward(shape, countIncludePad: countsPads, g: g, dx: &dx, pool: pool)
                #expect(error(dx, gradient) < 1e-5)
            }
        }
    }

    /// Values of torch.nn.functional.max_pool2d and avg_pool2d (ceil_mode, padding 1) on arange(16).reshape(4, 4).
    @Test func agreesWithPyTorch() {
        let shape = PoolingShape(
            planes: 1, inSpatial: [4, 4], kernel: [3, 3], strides: [2, 2], dilations: [1, 1], padsBegin: [1, 1],
            padsEnd: [1, 1], outSpatial: [3, 3])
        let x = (0..<16).map(Float.init)
        var out = [Float](repeating: 0, count: 9)
        var indices = [Int64](repeating: 0, count: 9)
        maxPoolForward(shape, x: x, out: &out, indices: &indices, pool: pools[1])
        #expect(out == [5, 7, 7, 13, 15, 15, 13, 15, 15])
        #expect(indices == [5, 7, 7, 13, 15, 15, 13, 15, 15])
        averagePoolForward(shape, countIncludePad: true, x: x, out: &out, pool: pools[1])
        #expect(error(out, [1.11111, 2.66667, 1.66667, 5.66667, 10, 5.5, 4.16667, 7, 3.75]) < 1e-5)
        averagePoolForward(shape, countIncludePad: false, x: x, out: &out, pool: pools[1])
        #expect(error(out, [2.5, 4, 5, 8.5, 10, 11, 12.5, 14, 15]) < 1e-5)
    }
}
