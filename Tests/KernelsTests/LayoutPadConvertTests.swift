import CVectorKernels
import Testing

@testable import Kernels

@Suite struct LayoutPadConvertTests {
    let pool = ThreadPool(threads: 2)

    /// Values from numpy.pad.
    @Test func knownPads() {
        let x: [Float] = [1, 2, 3, 4]
        var out = [Float](repeating: 0, count: 11)
        Layout.pad(.reflect, x, shape: [4], before: [5], after: [2], into: &out, pool: pool)
        #expect(out == [2, 3, 4, 3, 2, 1, 2, 3, 4, 3, 2])
        Layout.pad(.edge, x, shape: [4], before: [5], after: [2], into: &out, pool: pool)
        #expect(out == [1, 1, 1, 1, 1, 1, 2, 3, 4, 4, 4])
        Layout.pad(.wrap, x, shape: [4], before: [5], after: [2], into: &out, pool: pool)
        #expect(out == [4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2])
        Layout.padConstant(x, shape: [4], before: [5], after: [2], value: 9, into: &out, pool: pool)
        #expect(out == [9, 9, 9, 9, 9, 1, 2, 3, 4, 9, 9])
        out = [0, 0, 0]
        Layout.padConstant(x, shape: [4], before: [-2], after: [1], value: 9, into: &out, pool: pool)
        #expect(out == [3, 4, 9])
        Layout.pad(.reflect, x, shape: [4], before: [-2], after: [1], into: &out, pool: pool)
        #expect(out == [3, 4, 3])
    }

    @Test("pads in several dimensions, and adjoints by <pad(x), g> = <x, adjoint(g)>")
    func fuzz() {
        var numbers = TestNumbers(71)
        for _ in 0..<200 {
            let shape = (0..<numbers.integer(1..<5)).map { _ in numbers.integer(2..<6) }
            let before = shape.map { _ in max(-1, numbers.integer(-2..<4)) }
            let after = shape.map { _ in max(0, numbers.integer(-2..<4)) }
            let outShape = Layout.paddedShape(shape, before: before, after: after)
            let x = numbers.floats(elements(shape))
            let g = numbers.floats(elements(outShape))
            var out = g
            var dx = x
            for mode in [PadMode.edge, .reflect, .wrap] {
                Layout.pad(mode, x, shape: shape, before: before, after: after, into: &out, pool: pool)
                let expected = indices(outShape).map { index in
                    x[position(index.indices.map { source(index[$0] - before[$0], shape[$0], mode) }, in: shape)]
                }
                #expect(out == expected, "\(mode) \(shape) \(before) \(after)")
                Layout.padAdjoint(mode, g, shape: shape, before: before, after: after, into: &dx, pool: pool)
                #expect(abs(dot(out, g) - dot(x, dx)) < 1e-3)
            }
            Layout.padConstant(x, shape: shape, before: before, after: after, value: 0, into: &out, pool: pool)
            let expected = indices(outShape).map { index -> Float in
                let source = index.indices.map { index[$0] - before[$0] }
                return source.indices.allSatisfy { (0..<shape[$0]).contains(source[$0]) }
                    ? x[position(source, in: shape)] : 0
            }
            #expect(out == expected)
            Layout.padConstantAdjoint(g, shape: shape, before: before, after: after, into: &dx, pool: pool)
            #expect(abs(dot(out, g) - dot(x, dx)) < 1e-9)
        }
    }

    /// Walks step by step, bouncing at the borders.
    private func source(_ index: Int, _ n: Int, _ mode: PadMode) -> Int {
        switch mode {
        case .edge: return index < 0 ? 0 : index >= n ? n - 1 : index
        case .wrap:
            var i = index
            while i < 0 { i += n }
            while i >= n { i -= n }
            return i
        case .reflect:
            var i = index
            while i < 0 || i >= n { i = i < 0 ? -i : 2 * (n - 1) - i }
            return i
        }
    }

    private func dot(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) } }

    @Test func conversions() {
        let x: [Float] = [1.9, -1.9, 0.5, -0.0, .nan, .infinity, -.infinity, 1e30, -1e30, 9.2233715e18]
        var integers = [Int64](repeating: 5, count: x.count)
        Layout.convert(x, into: &integers, count: x.count, pool: pool)
        #expect(integers == [1, -1, 0, 0, 0, .max, .min, .max, .min, 9_223_371_487_098_961_920])
        var truth = [UInt8](repeating: 5, count: x.count)
        Layout.convert(x, into: &truth, count: x.count, pool: pool)
        #expect(truth == [1, 1, 1, 0, 1, 1, 1, 1, 1, 1])
        var floats = [Float](repeating: 5, count: 3)
        Layout.convert([16_777_217, -3, 0] as [Int64], into: &floats, count: 3, pool: pool)
        #expect(floats == [16_777_216, -3, 0])
        Layout.convert([0, 1, 255] as [UInt8], into: &floats, count: 3, pool: pool)
        #expect(floats == [0, 1, 255])
    }

    @Test("float16 as the compiler's own, bfloat16 by distance")
    func shortFloats() {
        var numbers = TestNumbers(72)
        var x: [Float] = [
            0, -0.0, 65_504, 65_519.996, 65_520, -65_520, 1e-8, 2.9802322e-8, 2.98023224e-8, 5.9604645e-8, 6.1035e-5,
            .infinity, -.infinity, .nan, 1 + 0x1p-11, 1 + 3 * 0x1p-11, 3.4e38,
        ]
        for _ in 0..<200_000 { x.append(Float(bitPattern: UInt32(truncatingIfNeeded: numbers.next() >> 20))) }
        for _ in 0..<50_000 { x.append(numbers.float(-1...1) * 1e-4) }
        for table in supportedTables() {
            var half = x
            var brain = x
            table.pointee.round_float16(x, &half, Int64(x.count))
            table.pointee.round_bfloat16(x, &brain, Int64(x.count))
            var wrong: [Float] = []
            for i in x.indices {
                let expected = Float(Float16(x[i]))
                let bothNaN = half[i].isNaN && x[i].isNaN && brain[i].isNaN
                if bothNaN { continue }
                if half[i] != expected || half[i].sign != expected.sign { wrong.append(x[i]) }
                let below = Float(bitPattern: x[i].bitPattern & 0xffff_0000)
                let above = Float(bitPattern: below.bitPattern &+ 0x1_0000)
                if above.isFinite && x[i].isFinite {
                    let (down, up) = (abs(Double(x[i]) - Double(below)), abs(Double(above) - Double(x[i])))
                    let even = below.bitPattern & 0x1_0000 == 0 ? below : above
                    if brain[i] != (down < up ? below : down > up ? above : even) { wrong.append(x[i]) }
                }
            }
            #expect(wrong == [])
        }
    }
}
