import CVectorKernels
import Glibc
import Testing

@testable import Kernels

@Suite struct ElementwiseLossTests {
    static func exact(_ loss: ElementLoss, _ x: Double, _ t: Double) -> Double {
        switch loss {
        case .binaryCrossEntropyWithLogits: -t * log(1 / (1 + exp(-x))) - (1 - t) * log(1 / (1 + exp(x)))
        case .squared: (x - t) * (x - t)
        case .absolute: abs(x - t)
        case .huber(let delta):
            abs(x - t) <= Double(delta) ? (x - t) * (x - t) / 2 : Double(delta) * (abs(x - t) - Double(delta) / 2)
        }
    }

    @Test(arguments: [
        ElementLoss.binaryCrossEntropyWithLogits, .squared, .absolute, .huber(delta: 0.75),
    ])
    func valuesAndGradients(_ loss: ElementLoss) {
        let pool = ThreadPool(threads: 2)
        var numbers = TestNumbers(21)
        let x = numbers.floats(20_001, -6...6)
        let t = numbers.floats(x.count, 0...1)
        let g = numbers.floats(x.count)
        var value = x
        var slope = x
        var scaled = x
        Elementwise.loss(loss, x, targets: t, into: &value, count: x.count, pool: pool)
        Elementwise.lossGradient(loss, x, targets: t, into: &slope, count: x.count, pool: pool)
        Elementwise.lossGradient(loss, x, targets: t, gradient: g, into: &scaled, count: x.count, pool: pool)
        let h = 1e-6
        var wrong = (values: 0, slopes: 0, scaled: 0)
        for i in x.indices {
            let (u, v) = (Double(x[i]), Double(t[i]))
            let exact = Self.exact(loss, u, v)
            if !(abs(Double(value[i]) - exact) <= 1e-6 * max(1, exact)) { wrong.values += 1 }
            let d = abs(u - v)
            if d < 1e-4 || abs(d - 0.75) < 1e-4 { continue }
            let derivative = (Self.exact(loss, u + h, v) - Self.exact(loss, u - h, v)) / (2 * h)
            if !(abs(Double(slope[i]) - derivative) <= 1e-6 * max(1, abs(derivative))) { wrong.slopes += 1 }
            if !(abs(Double(scaled[i]) - Double(g[i]) * derivative) <= 1e-5) { wrong.scaled += 1 }
        }
        #expect(wrong == (0, 0, 0))
    }

    @Test func extremeLogits() {
        let x: [Float] = [1000, -1000, 1000, -1000]
        let t: [Float] = [1, 0, 0, 1]
        for table in supportedTables() {
            var out = x
            table.pointee.loss(Int32(VK_LOSS_BCE_LOGITS), x, t, &out, 4, 0)
            #expect(out == [0, 0, 1000, 1000])
            table.pointee.loss_gradient(Int32(VK_LOSS_BCE_LOGITS), x, t, nil, &out, 4, 0)
            #expect(out == [0, 0, 1, -1])
        }
    }
}
