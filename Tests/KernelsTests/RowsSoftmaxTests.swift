import CVectorKernels
import Glibc
import Testing

@testable import Kernels

@Suite struct RowsSoftmaxTests {
    let pool = ThreadPool(threads: 2)
    static let layouts = [
        (3, 10, 1), (1, 1, 1), (5, 700, 1), (2, 7, 5), (3, 4, 300), (2, 1, 3), (300, 33, 1), (2, 3, 128),
    ]

    /// Softmax in Double along the middle axis.
    static func exact(_ x: [Float], _ outer: Int, _ n: Int, _ inner: Int, log isLog: Bool) -> [Double] {
        var out = [Double](repeating: 0, count: x.count)
        for o in 0..<outer {
            for i in 0..<inner {
                let at = (0..<n).map { (o * n + $0) * inner + i }
                let top = at.map { Double(x[$0]) }.max()!
                let total = at.reduce(0.0) { $0 + exp(Double(x[$1]) - top) }
                for k in at {
                    let shifted = Double(x[k]) - top
                    out[k] = isLog ? shifted - log(total) : exp(shifted) / total
                }
            }
        }
        return out
    }

    @Test func softmaxAndItsGradient() {
        var numbers = TestNumbers(31)
        for (outer, n, inner) in Self.layouts {
            let x = numbers.floats(outer * n * inner, -15...15)
            let g = numbers.floats(x.count)
            for form in [SoftmaxForm.softmax, .logSoftmax] {
                let isLog = form == .logSoftmax
                var wrong = 0
                var y = x
                Rows.softmax(form, x, into: &y, outer: outer, n: n, inner: inner, pool: pool)
                let exact = Self.exact(x, outer, n, inner, log: isLog)
                for i in x.indices {
                    // x - max rounds to half an ulp of up to 32, which the exponential makes relative.
                    let tolerance = isLog ? 3e-6 : 3e-6 * exact[i]
                    wrong += abs(Double(y[i]) - exact[i]) <= tolerance ? 0 : 1
                }
                var dx = x
                Rows.softmaxGradient(
                    form, output: y, gradient: g, into: &dx, outer: outer, n: n, inner: inner, pool: pool)
                // The Jacobian applied by hand: sum_j g_j dy_j/dx_k.
                let p = Self.exact(x, outer, n, inner, log: false)
                for o in 0..<outer {
                    for i in 0..<inner {
                        let at = (0..<n).map { (o * n + $0) * inner + i }
                        let dot = at.reduce(0.0) { $0 + Double(g[$1]) * (isLog ? 1 : p[$1]) }
                        for k in at {
                            let expected = isLog ? Double(g[k]) - p[k] * dot : p[k] * (Double(g[k]) - dot)
                            wrong += abs(Double(dx[k]) - expected) < 2e-5 ? 0 : 1
                        }
                    }
                }
                #expect(wrong == 0, "\(form) over [\(outer), \(n), \(inner)]")
            }
        }
    }

    /// Where the graph replaces what a row of -infinity gives, nothing comes back to it.
    @Test func unusedRowsHaveNoGradient() {
        for inner in [1, 3] {
            let y = [Float](repeating: .nan, count: 4 * inner)
            var used = [Float](repeating: 0, count: 4 * inner)
            var dx = y
            Rows.softmaxGradient(
                .softmax, output: y, gradient: used, into: &dx, outer: 1, n: 4, inner: inner, pool: pool)
            #expect(dx.allSatisfy { $0 == 0 })
            used[inner] = 1
            Rows.softmaxGradient(
                .softmax, output: y, gradient: used, into: &dx, outer: 1, n: 4, inner: inner, pool: pool)
            #expect((0..<4).allSatisfy { dx[$0 * inner].isNaN })
        }
    }

    @Test func extremes() {
        let inf = Float.infinity
        for table in supportedTables() {
            let x: [Float] = [1e30, 0, -1e30, -inf, 5, 5, -inf, -inf, .nan, 1, 2, 3]
            var y = x
            table.pointee.softmax(x, &y, 3, 4, 0)
            #expect(y[0..<4] == [1, 0, 0, 0])
            #expect(y[4..<8] == [0.5, 0.5, 0, 0])
            #expect(y[8...].allSatisfy { $0.isNaN })
        }
    }

    @Test func inPlace() {
        var numbers = TestNumbers(32)
        for (outer, n, inner) in Self.layouts {
            let x = numbers.floats(outer * n * inner)
            var y = x
            var same = x
            Rows.softmax(.softmax, x, into: &y, outer: outer, n: n, inner: inner, pool: pool)
            same.withUnsafeMutableBufferPointer {
                Rows.softmax(
                    .softmax, $0.baseAddress!, into: $0.baseAddress!, outer: outer, n: n, inner: inner, pool: pool)
            }
            #expect(same == y)
        }
    }

    @Test func crossEntropyAndItsGradient() {
        var numbers = TestNumbers(33)
        for (outer, n, inner) in Self.layouts {
            let x = numbers.floats(outer * n * inner, -8...8)
            let count = outer * inner
            let targets = (0..<count).map { _ in numbers.integer(0..<5) == 0 ? -100 : Int64(numbers.integer(0..<n)) }
            let weights = (0..<count).map { $0 % 7 == 3 ? 0 : numbers.float(0...2) }
            let layout = ClassLayout(outer: outer, classes: n, inner: inner)
            let logs = Self.exact(x, outer, n, inner, log: true)
            #expect(Rows.firstInvalidTarget(targets, layout) == nil)
            var losses = [Float](repeating: .nan, count: count)
            Rows.crossEntropy(logits: x, targets: targets, into: &losses, layout, pool: pool)
            var gradient = x
            Rows.crossEntropyGradient(
                logits: x, targets: targets, weights: weights, into: &gradient, layout, pool: pool)
            var plain = x
            Rows.crossEntropyGradient(logits: x, targets: targets, into: &plain, layout, pool: pool)
            var wrong = 0
            for o in 0..<outer {
                for i in 0..<inner {
                    let r = o * inner + i
                    let at = { (k: Int) in (o * n + k) * inner + i }
                    let ignored = targets[r] == -100
                    let loss = ignored ? 0 : -logs[at(Int(targets[r]))]
                    wrong += abs(Double(losses[r]) - loss) <= 2e-6 * max(1, loss) ? 0 : 1
                    for k in 0..<n {
                        let slope = ignored ? 0 : exp(logs[at(k)]) - (Int(targets[r]) == k ? 1 : 0)
                        wrong += abs(Double(plain[at(k)]) - slope) < 5e-7 ? 0 : 1
                        wrong += abs(Double(gradient[at(k)]) - slope * Double(weights[r])) < 1e-6 ? 0 : 1
                        if ignored && plain[at(k)] != 0 { wrong += 1 }
                        if weights[r] == 0 && gradient[at(k)] != 0 { wrong += 1 }
                    }
                }
            }
            #expect(wrong == 0, "[\(outer), \(n), \(inner)]")
        }
    }

    @Test("ignored and weightless rows give zeros even from NaN")
    func selectedOut() {
        for inner in [1, 2] {
            let x = [Float](repeating: .nan, count: 2 * 3 * inner)
            let targets = [Int64](repeating: -100, count: inner) + [Int64](repeating: 1, count: inner)
            let weights = [Float](repeating: 1, count: inner) + [Float](repeating: 0, count: inner)
            let layout = ClassLayout(outer: 2, classes: 3, inner: inner)
            var out = x
            var losses = [Float](repeating: 1, count: 2 * inner)
            Rows.crossEntropyGradient(logits: x, targets: targets, weights: weights, into: &out, layout, pool: pool)
            Rows.crossEntropy(logits: x, targets: targets, into: &losses, layout, pool: pool)
            #expect(out.allSatisfy { $0 == 0 })
            #expect(losses.prefix(inner).allSatisfy { $0 == 0 } && losses.dropFirst(inner).allSatisfy { $0.isNaN })
        }
    }

    @Test func invalidTargetsAreFound() {
        let layout = ClassLayout(outer: 4, classes: 3, ignoredTarget: -1)
        #expect(Rows.firstInvalidTarget([0, -1, 2, 3], layout) == 3)
        #expect(Rows.firstInvalidTarget([0, -100, 2, 3], layout) == 1)
        #expect(Rows.firstInvalidTarget([0, -1, 2, 1], layout) == nil)
    }
}
