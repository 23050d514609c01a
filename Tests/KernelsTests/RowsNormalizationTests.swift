import CVectorKernels
import Glibc
import Testing

@testable import Kernels

@Suite struct RowsNormalizationTests {
    let pool = ThreadPool(threads: 2)

    /// xhat and rstd of one row in Double.
    static func exact(_ x: [Double], _ epsilon: Double, _ centered: Bool) -> (
        xhat: [Double], rstd: Double, mean: Double
    ) {
        let n = Double(x.count)
        let mean = centered ? x.reduce(0, +) / n : 0
        let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n
        let rstd = 1 / (variance + epsilon).squareRoot()
        return (x.map { ($0 - mean) * rstd }, rstd, mean)
    }

    @Test(arguments: [true, false])
    func normalizesAndDifferentiates(centered: Bool) {
        var numbers = TestNumbers(41)
        let epsilon: Float = 1e-5
        for (rows, n, shift) in [(4, 1, Float(0)), (3, 5, 0), (7, 64, 2), (2, 769, 100), (40, 1000, 0)] {
            let x = numbers.floats(rows * n).map { $0 + shift }
            let g = numbers.floats(rows * n)
            var xhat = x
            var dx = x
            var rstd = [Float](repeating: .nan, count: rows)
            var mean = rstd
            Rows.normalize(
                x, into: &xhat, rstd: &rstd, mean: &mean, rows: rows, n: n, epsilon: epsilon, centered: centered,
                pool: pool)
            Rows.normalizeGradient(
                gradient: g, xhat: xhat, rstd: rstd, into: &dx, rows: rows, n: n, centered: centered, pool: pool)
            for r in 0..<rows {
                let row = x[r * n..<(r + 1) * n].map(Double.init)
                let exact = Self.exact(row, Double(epsilon), centered)
                #expect(abs(Double(rstd[r]) / exact.rstd - 1) < 1e-6)
                #expect(abs(Double(mean[r]) - exact.mean) < 1e-5)
                for i in 0..<n { #expect(abs(Double(xhat[r * n + i]) - exact.xhat[i]) < 2e-6) }
                // Central differences of sum g * xhat in Double, at a few places.
                let h = 1e-5
                for i in stride(from: 0, to: n, by: max(1, n / 3)) where n > 1 {
                    let value = { (step: Double) -> Double in
                        var moved = row
                        moved[i] += step
                        let xhat = Self.exact(moved, Double(epsilon), centered).xhat
                        return zip(xhat, g[r * n..<(r + 1) * n]).reduce(0) { $0 + $1.0 * Double($1.1) }
                    }
                    let slope = (value(h) - value(-h)) / (2 * h)
                    #expect(abs(Double(dx[r * n + i]) - slope) < 1e-4 * max(1, abs(slope)))
                }
            }
        }
    }

    @Test("a mean a million times the spread loses no digits")
    func largeMean() {
        let x = (0..<256).map { Float(1_000_000) + Float($0 % 16) }
        let exact = Self.exact(x.map(Double.init), 0, true)
        for table in supportedTables() {
            var xhat = x
            var rstd: Float = 0
            table.pointee.normalize(x, &xhat, &rstd, nil, 1, 256, 0, 1)
            for i in x.indices { #expect(abs(Double(xhat[i]) - exact.xhat[i]) < 1e-6) }
        }
    }
}
