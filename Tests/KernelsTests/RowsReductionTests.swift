import CVectorKernels
import Glibc
import Testing

@testable import Kernels

@Suite struct RowsReductionTests {
    static func exact(_ function: ReductionFunction, _ x: [Double]) -> Double {
        switch function {
        case .sum: return x.reduce(0, +)
        case .mean: return x.reduce(0, +) / Double(x.count)
        case .max: return x.contains { $0.isNaN } ? .nan : x.max() ?? -.infinity
        case .min: return x.contains { $0.isNaN } ? .nan : x.min() ?? .infinity
        case .prod: return x.reduce(1, *)
        case .sumSquare: return x.reduce(0) { $0 + $1 * $1 }
        case .l1: return x.reduce(0) { $0 + abs($1) }
        case .l2: return x.reduce(0) { $0 + $1 * $1 }.squareRoot()
        case .logSum: return log(x.reduce(0, +))
        case .logSumExp: return log(x.reduce(0) { $0 + exp($1) })
        }
    }

    /// The elements of each output by an index loop.
    static func groups<Element>(_ x: [Element], _ shape: [Int], _ axes: Set<Int>) -> [[Element]] {
        let outShape = shape.indices.map { axes.contains($0) ? 1 : shape[$0] }
        var groups = [[Element]](repeating: [], count: elements(outShape))
        for (at, index) in indices(shape).enumerated() { groups[position(index, in: outShape)].append(x[at]) }
        return groups
    }

    static let patterns: [([Int], Set<Int>)] = [
        ([1000], [0]), ([13, 700], [1]), ([700, 13], [0]), ([4, 5, 60], [2]), ([4, 5, 60], [0, 2]),
        ([3, 4, 5, 6], [1, 3]),
        ([3, 4, 5, 6], [0, 2]), ([6], []), ([2, 1, 3], [1]), ([1, 1], [0, 1]), ([], []), ([600_000], [0]),
        ([70_000, 3], [0]),
        ([5, 1030], [0]), ([3, 2, 5], [0, 1, 2]), ([100, 2, 900], [0, 2]),
    ]

    @Test(arguments: ReductionFunction.allCases)
    func reduces(_ function: ReductionFunction) {
        var numbers = TestNumbers(51)
        for (shape, axes) in Self.patterns {
            let range: ClosedRange<Float> = function == .prod ? 0.999...1.001 : function == .logSum ? 0...2 : -3...3
            let x = numbers.floats(elements(shape), range)
            let groups = Self.groups(x.map(Double.init), shape, axes)
            for threads in [1, 2] {
                var out = [Float](repeating: .nan, count: groups.count)
                Rows.reduce(function, x, shape: shape, axes: axes, into: &out, pool: ThreadPool(threads: threads))
                for (value, group) in zip(out, groups) {
                    let exact = Self.exact(function, group)
                    // Doubles inside: only the last rounding shows, the exponentials apart.
                    let error = ulps(value, exact)
                    if error > (function == .logSumExp ? 4 : 1) && abs(Double(value) - exact) > 3e-7 {
                        Issue.record("\(function) \(shape) \(axes): \(value), not \(exact)")
                        return
                    }
                }
            }
        }
    }

    @Test func sumsProducts() {
        var numbers = TestNumbers(53)
        for (shape, axes) in Self.patterns + [([2, 2500], [1]), ([3, 40, 1100], [1])] {
            let (x, y) = (numbers.floats(elements(shape)), numbers.floats(elements(shape)))
            // Products of floats are exact in double; the kernel rounds each to float.
            let groups = Self.groups(zip(x, y).map { Double($0) * Double($1) }, shape, axes)
            for threads in [1, 2] {
                var out = [Float](repeating: .nan, count: groups.count)
                Rows.sumProducts(x, y, shape: shape, axes: axes, into: &out, pool: ThreadPool(threads: threads))
                let allowed = groups.map { group in 1e-7 * group.reduce(1e-6) { $0 + abs($1) } }
                let exact = groups.map { Self.exact(.sum, $0) }
                #expect(out.indices.allSatisfy { abs(Double(out[$0]) - exact[$0]) <= allowed[$0] }, "\(shape) \(axes)")
            }
        }
    }

    @Test func fuzz() {
        var numbers = TestNumbers(52)
        let pool = ThreadPool(threads: 2)
        for _ in 0..<300 {
            let shape = (0..<numbers.integer(0..<6)).map { _ in numbers.integer(1..<6) }
            let axes = Set(shape.indices.filter { _ in numbers.integer(0..<2) == 0 })
            let x = numbers.floats(elements(shape))
            let integers = x.map { Int64($0 * 10) }
            let groups = Self.groups(x.map(Double.init), shape, axes)
            for function in [ReductionFunction.sum, .max, .min, .l2] {
                var out = [Float](repeating: .nan, count: groups.count)
                Rows.reduce(function, x, shape: shape, axes: axes, into: &out, pool: pool)
                #expect(
                    zip(out, groups).allSatisfy {
                        abs(Double($0) - Self.exact(function, $1)) < 1e-6 * max(1, abs(Double($0)))
                    })
            }
            let integerGroups = Self.groups(integers, shape, axes)
            let expected: [(ReductionFunction, ([Int64]) -> Int64)] = [
                (.sum, { $0.reduce(0, +) }), (.max, { $0.max()! }), (.min, { $0.min()! }),
                (.prod, { $0.reduce(1, &*) }), (.mean, { $0.reduce(0, +) / Int64($0.count) }),
                (.sumSquare, { $0.reduce(0) { $0 + $1 * $1 } }), (.l1, { $0.reduce(0) { $0 + abs($1) } }),
            ]
            for (function, exact) in expected {
                var out = [Int64](repeating: -7, count: groups.count)
                Rows.reduce(function, integers, shape: shape, axes: axes, into: &out)
                #expect(out == integerGroups.map(exact), "\(function)")
            }
        }
    }

    @Test func emptyAndSpecialValues() {
        let pool = ThreadPool(threads: 1)
        let inf = Float.infinity
        var out: [Float] = [9, 9, 9]
        Rows.reduce(.sum, [Float](), shape: [3, 0], axes: [1], into: &out, pool: pool)
        #expect(out == [0, 0, 0])
        Rows.reduce(.max, [Float](), shape: [0, 3], axes: [0], into: &out, pool: pool)
        #expect(out == [-inf, -inf, -inf])
        for position in 0..<40 {
            var x = [Float](repeating: 1, count: 40)
            x[position] = .nan
            for function in ReductionFunction.allCases {
                for (shape, axes) in [([1, 40], Set([1])), ([40, 1], Set([0])), ([2, 20], Set([0, 1]))] {
                    Rows.reduce(function, x, shape: shape, axes: axes, into: &out, pool: pool)
                    #expect(out[0].isNaN, "\(function) with a NaN at \(position)")
                }
            }
        }
        Rows.reduce(.logSumExp, [1000, 1000, -inf, -inf, inf, 0], shape: [3, 2], axes: [1], into: &out, pool: pool)
        #expect(out == [Float(1000 + log(2.0)), -inf, inf])
    }

    @Test("every table, every length of a run")
    func tables() {
        var numbers = TestNumbers(53)
        let x = numbers.floats(70)
        let map: [(Int, ReductionFunction)] = [
            (VK_SUM, .sum), (VK_MAXIMUM, .max), (VK_MINIMUM, .min), (VK_SUM_SQUARE, .sumSquare), (VK_SUM_ABS, .l1),
        ]
        for table in supportedTables() {
            for n in 0...70 {
                for (code, function) in map {
                    let exact = Self.exact(function, x[..<n].map(Double.init))
                    var value = vk_reduce_identity(Int32(code))
                    table.pointee.reduce_row(Int32(code), x, Int64(n), &value, 0)
                    #expect(value == exact || abs(value - exact) < 1e-9)
                    var columns = [Double](repeating: vk_reduce_identity(Int32(code)), count: n)
                    table.pointee.reduce_columns(Int32(code), x, 1, Int64(n), 0, &columns, nil)
                    #expect((0..<n).allSatisfy { columns[$0] == Self.exact(function, [Double(x[$0])]) })
                }
            }
        }
    }

    @Test func indexOfExtremes() {
        let pool = ThreadPool(threads: 2)
        let x: [Float] = [1, 3, 3, 2, .nan, 5, -1, -1, 0]
        var out: [Int64] = [9, 9, 9]
        Rows.argument(.max, x, into: &out, outer: 3, n: 3, pool: pool)
        #expect(out == [1, 1, 2])
        Rows.argument(.max, x, into: &out, outer: 3, n: 3, selectsLast: true, pool: pool)
        #expect(out == [2, 1, 2])
        Rows.argument(.min, x, into: &out, outer: 3, n: 3, selectsLast: true, pool: pool)
        #expect(out == [0, 1, 1])
        Rows.argument(.max, x, into: &out, outer: 1, n: 3, inner: 3, pool: pool)
        #expect(out == [1, 1, 1])
        Rows.argument(.min, [4, 2, 2, 7, 9, 7] as [Int64], into: &out, outer: 2, n: 3, pool: pool)
        #expect(out == [1, 0, 1])
    }
}
