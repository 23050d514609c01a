import CVectorKernels
import Testing

@testable import Kernels

@Suite struct LayoutTests {
    let pool = ThreadPool(threads: 2)

    static func transposed<Element>(_ x: [Element], _ shape: [Int], _ permutation: [Int]) -> [Element] {
        indices(permutation.map { shape[$0] }).map { index in
            var source = index
            for (i, axis) in permutation.enumerated() { source[axis] = index[i] }
            return x[position(source, in: shape)]
        }
    }

    @Test func transposes() {
        var numbers = TestNumbers(61)
        var cases: [([Int], [Int])] = [
            ([100, 70], [1, 0]), ([2, 33, 65], [0, 2, 1]), ([4, 9, 6, 16], [0, 2, 1, 3]), ([3, 300, 2], [2, 1, 0]),
            ([], []),
            ([0, 3], [1, 0]), ([5, 1, 7], [2, 0, 1]), ([2, 3, 40, 50], [0, 2, 3, 1]), ([1000, 1000], [1, 0]),
        ]
        for _ in 0..<100 {
            let shape = (0..<numbers.integer(1..<6)).map { _ in numbers.integer(1..<7) }
            var permutation = Array(shape.indices)
            for i in permutation.indices { permutation.swapAt(i, numbers.integer(i..<permutation.count)) }
            cases.append((shape, permutation))
        }
        for (shape, permutation) in cases {
            let bytes = (0..<elements(shape)).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
            let floats = bytes.indices.map { Float($0) }
            let integers = bytes.indices.map { Int64($0) }
            var byteOut = bytes
            var floatOut = floats
            var integerOut = integers
            Layout.transpose(bytes, shape: shape, permutation: permutation, into: &byteOut, pool: pool)
            Layout.transpose(floats, shape: shape, permutation: permutation, into: &floatOut, pool: pool)
            Layout.transpose(integers, shape: shape, permutation: permutation, into: &integerOut, pool: pool)
            #expect(byteOut == Self.transposed(bytes, shape, permutation), "\(shape) \(permutation)")
            #expect(floatOut == Self.transposed(floats, shape, permutation), "\(shape) \(permutation)")
            #expect(integerOut == Self.transposed(integers, shape, permutation), "\(shape) \(permutation)")
        }
    }

    @Test("slices, and their adjoint by <slice(x), g> = <x, adjoint(g)>")
    func slices() {
        var numbers = TestNumbers(62)
        for _ in 0..<300 {
            let shape = (0..<numbers.integer(1..<5)).map { _ in numbers.integer(1..<9) }
            var starts: [Int] = []
            var steps: [Int] = []
            var outShape: [Int] = []
            for size in shape {
                let step = [1, 1, 2, 3, -1, -2][numbers.integer(0..<6)]
                let start = numbers.integer(0..<size)
                let longest = step > 0 ? (size - 1 - start) / step + 1 : start / -step + 1
                starts.append(start)
                steps.append(step)
                outShape.append(numbers.integer(0..<longest + 1))
            }
            let x = numbers.floats(elements(shape))
            let g = numbers.floats(elements(outShape))
            var out = g
            var dx = x
            Layout.slice(x, shape: shape, starts: starts, steps: steps, into: &out, outShape: outShape, pool: pool)
            let expected = indices(outShape).map { index in
                x[position(index.indices.map { starts[$0] + index[$0] * steps[$0] }, in: shape)]
            }
            #expect(out == expected)
            Layout.sliceAdjoint(
                g, outShape: outShape, into: &dx, shape: shape, starts: starts, steps: steps, pool: pool)
            #expect(abs(dot(out, g) - dot(x, dx)) < 1e-9)
            #expect(dx.filter { $0 != 0 }.count <= g.count)
        }
    }

    private func dot(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) } }

    @Test func concatenatesAndSplits() {
        var numbers = TestNumbers(63)
        for (outer, inner) in [(1, 1), (3, 1), (1, 40), (5, 7)] {
            let sizes = [2, 0, 5, 1]
            let parts = sizes.map { numbers.floats(outer * $0 * inner) }
            var out = [Float](repeating: .nan, count: outer * 8 * inner)
            let memory = parts.map { part in
                let copy = UnsafeMutablePointer<Float>.allocate(capacity: max(1, part.count))
                copy.initialize(from: part, count: part.count)
                return copy
            }
            defer { for pointer in memory { pointer.deallocate() } }
            Layout.concatenate(
                memory.map { UnsafePointer($0) }, sizes: sizes, outer: outer, inner: inner, into: &out, pool: pool)
            var expected: [Float] = []
            for o in 0..<outer {
                for (part, size) in zip(parts, sizes) { expected += part[o * size * inner..<(o + 1) * size * inner] }
            }
            #expect(out == expected)
            for (part, pointer) in zip(parts, memory) { pointer.update(repeating: .nan, count: part.count) }
            Layout.split(
                out, sizes: sizes, outer: outer, inner: inner, into: [memory[0], nil, memory[2], memory[3]], pool: pool)
            for i in [0, 2, 3] {
                #expect(Array(UnsafeBufferPointer(start: memory[i], count: parts[i].count)) == parts[i])
            }
        }
    }

    @Test func expandsAndTiles() {
        var numbers = TestNumbers(64)
        for (from, to) in [
            ([3, 1], [2, 3, 4]), ([1], [5]), ([], [2, 2]), ([2, 1, 3, 1], [2, 4, 3, 5]), ([3], [0, 3]),
        ] {
            let x = numbers.floats(elements(from))
            var out = [Float](repeating: .nan, count: elements(to))
            Layout.expand(x, shape: from, into: &out, outShape: to, pool: pool)
            #expect(out == indices(to).map { x[position($0, in: from)] })
        }
        for (shape, repeats) in [([2, 3], [2, 2]), ([4], [3]), ([2, 1, 3], [1, 4, 2]), ([2], [0])] {
            let x = numbers.floats(elements(shape))
            let outShape = zip(shape, repeats).map { $0 * $1 }
            var out = [Float](repeating: .nan, count: elements(outShape))
            Layout.tile(x, shape: shape, repeats: repeats, into: &out, pool: pool)
            #expect(out == indices(outShape).map { index in x[position(zip(index, shape).map { $0 % $1 }, in: shape)] })
        }
    }

    @Test func gathersAndScatters() {
        var numbers = TestNumbers(65)
        for (outer, n, inner, count) in [(1, 50, 200, 33), (3, 7, 1, 9), (2, 5, 64, 4), (1, 4, 3, 0)] {
            let x = numbers.floats(outer * n * inner)
            let picks = (0..<count).map { _ in Int64(numbers.integer(0..<n)) }
            let g = numbers.floats(outer * count * inner)
            var out = g
            Layout.gather(x, outer: outer, n: n, inner: inner, indices: picks, count: count, into: &out, pool: pool)
            #expect(
                out
                    == indices([outer, count, inner]).map { x[($0[0] * n + Int(picks[$0[1]])) * inner + $0[2]] })
            var dx = [Float](repeating: 1, count: x.count)
            Layout.scatterAdd(g, indices: picks, count: count, into: &dx, outer: outer, n: n, inner: inner, pool: pool)
            var expected = [Float](repeating: 1, count: x.count)
            for (at, index) in indices([outer, count, inner]).enumerated() {
                expected[(index[0] * n + Int(picks[index[1]])) * inner + index[2]] += g[at]
            }
            #expect(dx == expected)
        }
        var normal = [Int64](repeating: 0, count: 4)
        #expect(Layout.normalizeIndices([-3, 2, 0, -1], count: 4, axisSize: 3, into: &normal) == nil)
        #expect(normal == [0, 2, 0, 2])
        #expect(Layout.normalizeIndices([0, -4, 0, 0], count: 4, axisSize: 3, into: &normal) == 1)
        #expect(Layout.normalizeIndices([0, 1, 3, 0], count: 4, axisSize: 3, into: &normal) == 2)
    }

    @Test func fillsAndCopies() {
        var out = [Float](repeating: 0, count: 200_001)
        Layout.fill(&out, with: 7, count: 200_000, pool: pool)
        #expect(out.dropLast().allSatisfy { $0 == 7 } && out.last == 0)
        let bytes = (0..<100).map { UInt8($0) }
        var copied = [UInt8](repeating: 0, count: 100)
        Layout.copy(bytes, into: &copied, count: 100, pool: pool)
        #expect(copied == bytes)
    }

    @Test("every table transposes every size")
    func tables() {
        for table in supportedTables() {
            for (rows, columns) in [(1, 1), (8, 8), (17, 33), (64, 3)] {
                let x = (0..<rows * columns).map { Int64($0) }
                var out = x
                table.pointee.transpose(8, x, Int64(columns), &out, Int64(rows), Int64(rows), Int64(columns))
                #expect(out == Self.transposed(x, [rows, columns], [1, 0]))
                let f = x.map { Float($0) }
                var floats = f
                table.pointee.transpose(4, f, Int64(columns), &floats, Int64(rows), Int64(rows), Int64(columns))
                #expect(floats == Self.transposed(f, [rows, columns], [1, 0]))
            }
        }
    }
}
