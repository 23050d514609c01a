import CVectorKernels
import Glibc
import Testing

@testable import Kernels

/// A function, its value and its derivative in Double, and what error its kernel may have.
struct UnaryCase: Sendable, CustomTestStringConvertible {
    let function: UnaryFunction
    let exact: @Sendable (Double) -> Double
    /// A step function, whose derivative is 0.
    let steps: Bool
    let range: ClosedRange<Float>
    /// Largest error of the value in ulp, and of value and derivative in absolute terms where that is easier.
    let ulp: Double
    let absolute: Double
    let kinks: [Double]

    init(
        _ function: UnaryFunction, in range: ClosedRange<Float> = -20...20, ulp: Double = 4, absolute: Double = 0,
        kinks: [Double] = [], steps: Bool = false,
        _ exact: @escaping @Sendable (Double) -> Double
    ) {
        self.function = function
        self.exact = exact
        self.steps = steps
        self.range = range
        self.ulp = ulp
        self.absolute = absolute
        self.kinks = kinks
    }

    var testDescription: String { "\(function)" }
}

private func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
private func cdf(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }

private let alpha = 0.7
private let a = Float(alpha)

let unaryCases: [UnaryCase] = [
    UnaryCase(.neg) { -$0 },
    UnaryCase(.abs, kinks: [0]) { Swift.abs($0) },
    UnaryCase(.reciprocal, kinks: [0]) { 1 / $0 },
    UnaryCase(.exp, in: -110...95, ulp: 2) { exp($0) },
    UnaryCase(.log, in: 0...1000, ulp: 2, kinks: [0]) { log($0) },
    UnaryCase(.sqrt, in: 0...1000, ulp: 1, kinks: [0]) { $0.squareRoot() },
    UnaryCase(.rsqrt, in: 0...1000, ulp: 2, kinks: [0]) { 1 / $0.squareRoot() },
    UnaryCase(.square) { $0 * $0 },
    UnaryCase(.relu, kinks: [0]) { max(0, $0) },
    UnaryCase(.leakyRelu(alpha: a), kinks: [0]) { $0 > 0 ? $0 : Double(a) * $0 },
    UnaryCase(.elu(alpha: a), kinks: [0]) { $0 > 0 ? $0 : Double(a) * expm1($0) },
    UnaryCase(.selu(alpha: 1.6732632, gamma: 1.050701), kinks: [0]) {
        Double(Float(1.050701)) * ($0 > 0 ? $0 : Double(Float(1.6732632)) * expm1($0))
    },
    UnaryCase(.celu(alpha: a), kinks: [0]) { $0 > 0 ? $0 : Double(a) * expm1($0 / Double(a)) },
    UnaryCase(.sigmoid, in: -110...40) { logistic($0) },
    UnaryCase(.tanh, ulp: 3) { tanh($0) },
    UnaryCase(.softplus, in: -90...90) { $0 > 30 ? $0 : log1p(exp($0)) },
    UnaryCase(.softsign) { $0 / (1 + Swift.abs($0)) },
    UnaryCase(.hardSwish, absolute: 1e-6, kinks: [-3, 3]) { $0 * min(max($0 / 6 + 0.5, 0), 1) },
    UnaryCase(.hardSigmoid(alpha: 0.25, beta: 0.5), absolute: 1e-6, kinks: [-2, 2]) {
        min(max(0.25 * $0 + 0.5, 0), 1)
    },
    UnaryCase(.gelu, absolute: 6e-7) { $0 * cdf($0) },
    UnaryCase(.geluTanh, ulp: 40, absolute: 1e-9) {
        let u = (2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)
        return $0 * logistic(2 * u)
    },
    UnaryCase(.erf, in: -6...6, ulp: 3) { erf($0) },
    UnaryCase(.silu, in: -80...80) { $0 * logistic($0) },
    UnaryCase(.mish, in: -40...40, ulp: 6) { $0 * tanh(log1p(exp($0))) },
    UnaryCase(.thresholdedRelu(alpha: a), kinks: [Double(a)]) { $0 > Double(a) ? $0 : 0 },
    UnaryCase(.sin) { sin($0) }, UnaryCase(.cos) { cos($0) }, UnaryCase(.tan, in: -1.5...1.5) { tan($0) },
    UnaryCase(.asin, in: -0.999...0.999) { asin($0) }, UnaryCase(.acos, in: -0.999...0.999) { acos($0) },
    UnaryCase(.atan) { atan($0) }, UnaryCase(.sinh) { sinh($0) }, UnaryCase(.cosh) { cosh($0) },
    UnaryCase(.asinh) { asinh($0) }, UnaryCase(.acosh, in: 1.01...50) { acosh($0) },
    UnaryCase(.atanh, in: -0.99...0.99) { atanh($0) },
    UnaryCase(.sign, kinks: [0]) { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 },
    UnaryCase(.floor, steps: true) { floor($0) }, UnaryCase(.ceil, steps: true) { ceil($0) },
    UnaryCase(.round, steps: true) { $0.rounded(.toNearestOrEven) },
    UnaryCase(.clip(low: -2, high: 5), kinks: [-2, 5]) { min(max($0, -2), 5) },
    UnaryCase(.affine(scale: 0.7, offset: -1.3), absolute: 2e-6) { Double(Float(0.7)) * $0 - Double(Float(1.3)) },
]

@Suite struct ElementwiseUnaryTests {
    static let edges: [Float] = [
        0, -0.0, 1, -1, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, .leastNonzeroMagnitude, -.leastNonzeroMagnitude,
        .leastNormalMagnitude, 1e-30, -1e-30, 1e-7, 3, -3, 1e8, -1e8, 1e38, -1e38,
    ]

    static func grid(_ range: ClosedRange<Float>) -> [Float] {
        let step = (range.upperBound - range.lowerBound) / 40_000
        let even = (0...40_000).map { range.lowerBound + Float($0) * step }
        let near = (0..<2_000).flatMap { i -> [Float] in
            let x = exp2f(-Float(i) / 40)
            return [x, -x]
        }
        return (even + near).filter(range.contains)
    }

    static func apply(_ table: UnsafePointer<vk_table>, _ function: UnaryFunction, _ x: [Float]) -> [Float] {
        var out = [Float](repeating: .nan, count: x.count)
        let code = function.code
        table.pointee.unary(code.operation, x, &out, Int64(x.count), code.a, code.b)
        return out
    }

    static func derivative(_ table: UnsafePointer<vk_table>, _ function: UnaryFunction, _ x: [Float]) -> [Float] {
        var out = [Float](repeating: .nan, count: x.count)
        let g = [Float](repeating: 2, count: x.count)
        let code = function.code
        table.pointee.derivative(code.operation, x, g, &out, Int64(x.count), code.a, code.b)
        return out
    }

    @Test("values agree with Glibc in Double", arguments: unaryCases)
    func values(_ unary: UnaryCase) {
        for table in supportedTables() {
            let x = Self.grid(unary.range) + Self.edges.filter(unary.range.contains)
            let out = Self.apply(table, unary.function, x)
            var worst: (error: Double, x: Float, out: Float) = (0, 0, 0)
            for (x, y) in zip(x, out) {
                let exact = unary.exact(Double(x))
                if Swift.abs(Double(y) - exact) <= unary.absolute { continue }
                let error = ulps(y, exact)
                if error > worst.error { worst = (error, x, y) }
            }
            #expect(
                worst.error <= unary.ulp,
                "\(String(cString: table.pointee.name)): \(worst.error) ulp at \(worst.x), got \(worst.out)")
        }
    }

    @Test("derivatives agree with central differences in Double", arguments: unaryCases)
    func derivatives(_ unary: UnaryCase) {
        let h = 1e-5
        for table in supportedTables() {
            let x = Self.grid(unary.range).filter { x in
                !unary.kinks.contains { Swift.abs(Double(x) - $0) < 1e-2 }
                    && unary.range.contains(x - Float(4 * h)) && unary.range.contains(x + Float(4 * h))
            }
            let out = Self.derivative(table, unary.function, x)
            var worst: (error: Double, x: Float, out: Float, exact: Double) = (0, 0, 0, 0)
            for (x, y) in zip(x, out) {
                let at = Double(x)
                let exact = unary.steps ? 0 : (unary.exact(at + h) - unary.exact(at - h)) / (2 * h)
                if Swift.abs(exact) > 1e37 { continue }
                let scale = max(Swift.abs(exact), unary.function == .exp ? 1e-37 : 1)
                let error = Swift.abs(Double(y) / 2 - exact) / scale
                if !(error <= worst.error) { worst = (error, x, y / 2, exact) }
            }
            #expect(
                worst.error < 2e-5,
                "\(String(cString: table.pointee.name)) at \(worst.x): \(worst.out), not \(worst.exact)")
        }
    }

    @Test("NaN goes through every function and derivative", arguments: unaryCases)
    func notANumber(_ unary: UnaryCase) {
        let x = [Float](repeating: .nan, count: 19)
        for table in supportedTables() {
            #expect(Self.apply(table, unary.function, x).allSatisfy { $0.isNaN })
            // The derivative of these does not look at x, or sorts it by a comparison.
            let blind: [UnaryFunction] = [
                .neg, .affine(scale: 0.7, offset: -1.3), .relu, .leakyRelu(alpha: a), .thresholdedRelu(alpha: a),
            ]
            if blind.contains(unary.function) { continue }
            #expect(Self.derivative(table, unary.function, x).allSatisfy { $0.isNaN })
        }
    }

    @Test func infinities() {
        let inf = Float.infinity
        let limits: [(UnaryFunction, Float, Float)] = [
            (.exp, inf, 0), (.sigmoid, 1, 0), (.tanh, 1, -1), (.softplus, inf, 0), (.softsign, 1, -1),
            (.erf, 1, -1), (.gelu, inf, 0), (.geluTanh, inf, 0), (.silu, inf, 0), (.mish, inf, 0),
            (.hardSwish, inf, 0), (.relu, inf, 0), (.elu(alpha: 2), inf, -2), (.clip(low: 0, high: 6), 6, 0),
            (.hardSigmoid(alpha: 0.2, beta: 0.5), 1, 0), (.reciprocal, 0, 0), (.log, inf, .nan),
            (.atan, 1.5707964, -1.5707964),
        ]
        let slopes: [(UnaryFunction, Float, Float)] = [
            (.sigmoid, 0, 0), (.tanh, 0, 0), (.softplus, 1, 0), (.softsign, 0, 0), (.erf, 0, 0), (.gelu, 1, 0),
            (.geluTanh, 1, 0), (.silu, 1, 0), (.mish, 1, 0), (.hardSwish, 1, 0), (.relu, 1, 0),
        ]
        let x = (0..<24).map { $0 % 2 == 0 ? inf : -inf }
        for table in supportedTables() {
            for (function, high, low) in limits {
                let out = Self.apply(table, function, x)
                for i in out.indices {
                    let expected = i % 2 == 0 ? high : low
                    #expect(out[i] == expected || (out[i].isNaN && expected.isNaN), "\(function)(\(x[i])) = \(out[i])")
                }
            }
            for (function, high, low) in slopes {
                let out = Self.derivative(table, function, x)
                for i in out.indices { #expect(out[i] == 2 * (i % 2 == 0 ? high : low), "\(function)'(\(x[i]))") }
            }
            #expect(Self.apply(table, .log, [0, -0.0, -1, -inf]).map(\.isNaN) == [false, false, true, true])
            #expect(Self.apply(table, .log, [0, -0.0]) == [-inf, -inf])
        }
    }

    /// Values from PyTorch 2.15 at the kinks.
    @Test func derivativesAtKinks() {
        let cases: [(UnaryFunction, Float, Float)] = [
            (.relu, 0, 0), (.abs, 0, 0), (.leakyRelu(alpha: 0.25), 0, 0.25), (.elu(alpha: 0.5), 0, 0.5),
            (.hardSwish, -3, 0), (.hardSwish, 3, 1), (.hardSigmoid(alpha: 0.25, beta: 0.5), 2, 0),
            (.hardSigmoid(alpha: 0.25, beta: 0.5), -2, 0), (.clip(low: -1, high: 1), 1, 0),
            (.thresholdedRelu(alpha: 1), 1, 0), (.sign, 0, 0),
        ]
        for table in supportedTables() {
            for (function, x, slope) in cases {
                #expect(Self.derivative(table, function, [x]) == [2 * slope], "\(function) at \(x)")
            }
        }
    }

    @Test("the derivative from the output is the one from the input")
    func derivativeFromOutput() {
        let pool = ThreadPool(threads: 2)
        var numbers = TestNumbers(5)
        let x = numbers.floats(40_000, 0.1...6)
        let g = numbers.floats(x.count)
        for function in unaryCases.map(\.function) where function.hasDerivativeFromOutput {
            var y = x
            var fromInput = x
            var fromOutput = x
            Elementwise.apply(function, x, into: &y, count: x.count, pool: pool)
            Elementwise.derivative(function, x, gradient: g, into: &fromInput, count: x.count, pool: pool)
            Elementwise.derivativeFromOutput(function, y, gradient: g, into: &fromOutput, count: x.count, pool: pool)
            for i in x.indices {
                #expect(Swift.abs(fromInput[i] - fromOutput[i]) <= 1e-5 * max(1, Swift.abs(fromInput[i])))
            }
        }
    }

    @Test("in place gives what out of place gives, at every length")
    func inPlace() {
        let pool = ThreadPool(threads: 2)
        var numbers = TestNumbers(6)
        for count in [0, 1, 7, 8, 9, 31, 33, 100, 70_000] {
            let x = numbers.floats(count)
            var out = x
            var same = x
            Elementwise.apply(.gelu, x, into: &out, count: count, pool: pool)
            same.withUnsafeMutableBufferPointer {
                guard let p = $0.baseAddress else { return }
                Elementwise.apply(.gelu, p, into: p, count: count, pool: pool)
            }
            #expect(same == out)
        }
    }

    @Test func activeKernelIsSupported() {
        #expect(supportedTables().map { String(cString: $0.pointee.name) }.contains(vectorKernelName()))
        #expect(vk_named("sse9") == nil)
    }
}
