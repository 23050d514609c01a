import CVectorKernels
import Glibc
import Testing

@testable import Kernels

@Suite struct ElementwiseBinaryTests {
    let pool = ThreadPool(threads: 2)

    static func exact(_ function: BinaryFunction, _ a: Float, _ b: Float) -> Double {
        let (u, v) = (Double(a), Double(b))
        switch function {
        case .add: return u + v
        case .sub: return u - v
        case .mul: return u * v
        case .div: return u / v
        case .pow: return pow(u, v)
        case .min: return u.isNaN || v.isNaN ? .nan : Swift.min(u, v)
        case .max: return u.isNaN || v.isNaN ? .nan : Swift.max(u, v)
        case .mod: return u - (u / v).rounded(.down) * v
        case .fmod: return u - (u / v).rounded(.towardZero) * v
        case .prelu: return u > 0 ? u : u * v
        }
    }

    static let shapes: [([Int], [Int])] = [
        ([5, 7], [5, 7]), ([6, 9], [9]), ([6, 9], [6, 1]), ([1], [4, 5]), ([], [3]), ([4, 5], []),
        ([3, 4, 10], [4, 1]),
        ([2, 1, 5, 1], [3, 1, 6]), ([1, 3, 1], [2, 1, 4]), ([40_000], [1]), ([3, 70_000], [3, 1]), ([70_000], [2, 1]),
        ([0, 3], [3]), ([], []), ([2, 3, 1, 5, 1, 2], [3, 4, 1, 3, 1]),
    ]

    @Test("every function over every kind of broadcast", arguments: BinaryFunction.allCases)
    func broadcast(_ function: BinaryFunction) throws {
        var numbers = TestNumbers(11)
        for (aShape, bShape) in Self.shapes {
            let shape = try #require(broadcastShape([aShape, bShape]))
            let a = numbers.floats(elements(aShape), function == .pow ? 0.1...3 : -3...3)
            let b = numbers.floats(elements(bShape), 0.5...3)
            var out = [Float](repeating: .nan, count: elements(shape))
            Elementwise.broadcastBinary(function, a, aShape, b, bShape, into: &out, shape, pool: pool)
            for (at, index) in indices(shape).enumerated() {
                let exact = Self.exact(function, a[position(index, in: aShape)], b[position(index, in: bShape)])
                if abs(Double(out[at]) - exact) > 1e-6 * max(1, abs(exact)) {
                    Issue.record("\(function) \(aShape) \(bShape) at \(index): \(out[at]), not \(exact)")
                    return
                }
            }
        }
    }

    @Test("random shapes, against an index loop")
    func fuzz() throws {
        var numbers = TestNumbers(12)
        for _ in 0..<300 {
            let rank = numbers.integer(0..<6)
            let shape = (0..<rank).map { _ in numbers.integer(1..<6) }
            func operand() -> [Int] {
                Array(shape.map { numbers.integer(0..<3) == 0 ? 1 : $0 }.dropFirst(numbers.integer(0..<rank + 1)))
            }
            let (aShape, bShape, cShape) = (operand(), operand(), operand())
            let a = numbers.floats(elements(aShape))
            let b = numbers.floats(elements(bShape))
            let c = (0..<elements(cShape)).map { _ in UInt8(numbers.integer(0..<2)) }
            var sum = [Float](repeating: .nan, count: elements(shape))
            var chosen = sum
            var less = [UInt8](repeating: 9, count: sum.count)
            Elementwise.broadcastBinary(.sub, a, aShape, b, bShape, into: &sum, shape, pool: pool)
            Elementwise.select(c, cShape, a, aShape, b, bShape, into: &chosen, shape, pool: pool)
            Elementwise.compare(.less, a, aShape, b, bShape, into: &less, shape, pool: pool)
            for (at, index) in indices(shape).enumerated() {
                let (u, v) = (a[position(index, in: aShape)], b[position(index, in: bShape)])
                #expect(sum[at] == u - v)
                #expect(chosen[at] == (c[position(index, in: cShape)] != 0 ? u : v))
                #expect(less[at] == (u < v ? 1 : 0))
            }
        }
    }

    @Test func integers() {
        let a: [Int64] = [7, -7, 7, -7, 5, .min, .min, 0, 2, -1, 2, .max]
        let b: [Int64] = [2, 2, -2, -2, 0, -1, 1, 3, 62, -3, -1, 1]
        let expected: [(BinaryFunction, [Int64])] = [
            (.div, [3, -3, -3, 3, 0, .min, .min, 0, 0, 0, -2, .max]),
            (.mod, [1, 1, -1, -1, 0, 0, 0, 0, 2, -1, 0, 0]),
            (.fmod, [1, -1, 1, -1, 0, 0, 0, 0, 2, -1, 0, 0]),
            (.add, [9, -5, 5, -9, 5, .max, .min + 1, 3, 64, -4, 1, .min]),
            (.pow, [49, 49, 0, 0, 1, 0, .min, 0, 1 << 62, -1, 0, .max]),
            (.min, [2, -7, -2, -7, 0, .min, .min, 0, 2, -3, -1, 1]),
            (.max, [7, 2, 7, -2, 5, -1, 1, 3, 62, -1, 2, .max]),
        ]
        for (function, values) in expected {
            var out = a
            Elementwise.broadcastBinary(function, a, [12], b, [12], into: &out, [12], pool: pool)
            #expect(out == values, "\(function)")
        }
    }

    @Test func notANumberInMinimumAndMaximum() {
        let a: [Float] = [.nan, 1, .nan, -.infinity]
        let b: [Float] = [1, .nan, .nan, .infinity]
        for (function, last) in [(BinaryFunction.min, -Float.infinity), (.max, .infinity)] {
            var out = a
            Elementwise.broadcastBinary(function, a, [4], b, [4], into: &out, [4], pool: pool)
            #expect(out[0].isNaN && out[1].isNaN && out[2].isNaN && out[3] == last)
        }
    }

    @Test func powersWithACommonExponent() {
        let x: [Float] = [0, -0.0, 1, 2, -2, 0.25, .infinity, -.infinity, .nan, 9, 1e-20]
        for exponent: Float in [2, 3, 0.5, 1, -1, 0, 2.5, -2] {
            var out = x
            Elementwise.broadcastBinary(.pow, x, [x.count], [exponent], [], into: &out, [x.count], pool: pool)
            for i in x.indices {
                #expect(ulps(out[i], pow(Double(x[i]), Double(exponent))) <= 2, "pow(\(x[i]), \(exponent)) = \(out[i])")
            }
        }
    }

    @Test func comparisonsAndLogic() {
        let a: [Float] = [1, 2, 3, .nan, .infinity]
        let b: [Float] = [2, 2, 2, 2, .infinity]
        let i: [Int64] = [1, 2, 3, -1, 9]
        let j: [Int64] = [2, 2, 2, 2, 9]
        let expected: [(ComparisonFunction, [UInt8], [UInt8])] = [
            (.equal, [0, 1, 0, 0, 1], [0, 1, 0, 0, 1]), (.less, [1, 0, 0, 0, 0], [1, 0, 0, 1, 0]),
            (.lessOrEqual, [1, 1, 0, 0, 1], [1, 1, 0, 1, 1]), (.greater, [0, 0, 1, 0, 0], [0, 0, 1, 0, 0]),
            (.greaterOrEqual, [0, 1, 1, 0, 1], [0, 1, 1, 0, 1]),
        ]
        var out = [UInt8](repeating: 9, count: 5)
        for (function, floats, integers) in expected {
            Elementwise.compare(function, a, [5], b, [5], into: &out, [5], pool: pool)
            #expect(out == floats, "\(function)")
            Elementwise.compare(function, i, [5], j, [5], into: &out, [5], pool: pool)
            #expect(out == integers, "\(function)")
        }
        let p: [UInt8] = [0, 0, 1, 1]
        let q: [UInt8] = [0, 1, 0, 1]
        var truth = p
        let tables: [(LogicalFunction, [UInt8])] = [(.and, [0, 0, 0, 1]), (.or, [0, 1, 1, 1]), (.xor, [0, 1, 1, 0])]
        for (function, values) in tables {
            Elementwise.logical(function, p, [4], q, [4], into: &truth, [4], pool: pool)
            #expect(truth == values)
        }
        Elementwise.compare(.equal, p, [4], q, [4], into: &truth, [4], pool: pool)
        #expect(truth == [1, 0, 0, 1])
        Elementwise.not(p, into: &truth, count: 4, pool: pool)
        #expect(truth == [1, 1, 0, 0])
    }

    @Test func shapesThatDoNotFit() {
        #expect(broadcastShape([[2, 3], [4]]) == nil)
        #expect(broadcastShape([[2, 1], [3], []]) == [2, 3])
        #expect(broadcastShape([[0, 1], [3]]) == [0, 3])
    }

    @Test("every table gives what the generic one gives")
    func tables() {
        var numbers = TestNumbers(13)
        let a = numbers.floats(97)
        let b = numbers.floats(97, 0.5...2)
        for table in supportedTables() {
            for function in BinaryFunction.allCases where function != .pow {
                for (stepA, stepB) in [(1, 1), (1, 0), (0, 1), (0, 0)] {
                    var out = [Float](repeating: .nan, count: 97)
                    table.pointee.binary_f32(
                        function.code, a, b, &out,
                        vk_block(
                            rows: 1, columns: 97, a_row: 0, a_column: Int64(stepA), b_row: 0, b_column: Int64(stepB)))
                    for i in 0..<97 {
                        let exact = Self.exact(function, a[i * stepA], b[i * stepB])
                        #expect(abs(Double(out[i]) - exact) <= 1e-6 * max(1, abs(exact)))
                    }
                }
            }
        }
    }
}
