import CVectorKernels
import Testing

@testable import Kernels

/// The kernels that work on rows and columns, every instruction set against the generic one, at lengths around the
/// vector and tile sizes.
@Suite struct RowsTableTests {
    static let sizes = [1, 2, 7, 8, 9, 16, 31, 33, 64, 127, 128, 129, 200]

    /// Runs `body` with every table and compares what it returns.
    private func compare(_ what: String, _ body: (UnsafePointer<vk_table>) -> [Float]) throws {
        let generic = body(try #require(vk_named("generic")))
        for table in supportedTables() {
            let out = body(table)
            let worst = zip(out, generic).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? 0
            #expect(worst < 2e-6, "\(what), \(String(cString: table.pointee.name))")
            #expect(out.count == generic.count && !out.contains { $0.isNaN })
        }
    }

    @Test func softmax() throws {
        var numbers = TestNumbers(81)
        for n in Self.sizes {
            let x = numbers.floats(3 * n, -9...9)
            let g = numbers.floats(3 * n)
            for log: Int32 in [0, 1] {
                try compare("softmax of \(n)") {
                    var out = x
                    $0.pointee.softmax(x, &out, 3, Int64(n), log)
                    $0.pointee.softmax_gradient(out, g, &out, 3, Int64(n), log)
                    return out
                }
                try compare("softmax of \(n) columns") {
                    var out = x
                    $0.pointee.softmax_columns(x, &out, 3, Int64(n), Int64(n), log)
                    $0.pointee.softmax_gradient_columns(out, g, &out, 3, Int64(n), Int64(n), log)
                    return out
                }
            }
        }
    }

    @Test func normalization() throws {
        var numbers = TestNumbers(82)
        for n in Self.sizes where n > 2 {
            let x = numbers.floats(3 * n)
            let g = numbers.floats(3 * n)
            for centered: Int32 in [0, 1] {
                try compare("normalisation of \(n)") {
                    var xhat = x
                    var dx = x
                    var rstd: [Float] = [0, 0, 0]
                    var mean = rstd
                    $0.pointee.normalize(x, &xhat, &rstd, &mean, 3, Int64(n), 1e-3, centered)
                    $0.pointee.normalize_gradient(g, xhat, rstd, &dx, 3, Int64(n), centered)
                    return xhat + dx + rstd + mean
                }
            }
        }
    }

    @Test func crossEntropy() throws {
        var numbers = TestNumbers(83)
        for n in Self.sizes {
            let x = numbers.floats(3 * n, -9...9)
            let weights = numbers.floats(3 * n, 0...1)
            let targets = (0..<3 * n).map { _ in Int64(numbers.integer(0..<3)) }
            for shape in [
                vk_classes(outer: Int64(n), classes: 3, inner: 1, columns: 1, ignored: 1),
                vk_classes(outer: 1, classes: 3, inner: Int64(n), columns: Int64(n), ignored: 1),
            ] {
                try compare("cross-entropy of \(n)") {
                    var losses = [Float](repeating: 0, count: n)
                    var gradient = x
                    $0.pointee.cross_entropy(x, targets, &losses, shape)
                    $0.pointee.cross_entropy_gradient(x, targets, weights, &gradient, shape)
                    return losses + gradient
                }
            }
        }
    }

    @Test func lossesAndSums() throws {
        var numbers = TestNumbers(84)
        for n in Self.sizes {
            let x = numbers.floats(n)
            let t = numbers.floats(n, 0...1)
            let g = numbers.floats(n)
            for op in 0..<Int32(VK_LOSS_COUNT) {
                try compare("loss \(op) of \(n)") {
                    var value = x
                    var slope = x
                    $0.pointee.loss(op, x, t, &value, Int64(n), 0.5)
                    $0.pointee.loss_gradient(op, x, t, g, &slope, Int64(n), 0.5)
                    return value + slope
                }
            }
            for op in 0..<Int32(VK_REDUCE_COUNT) {
                try compare("reduction \(op) of \(n)") {
                    var total = vk_reduce_identity(op)
                    $0.pointee.reduce_row(op, x, Int64(n), &total, 0.25)
                    var columns = [Double](repeating: vk_reduce_identity(op), count: n)
                    $0.pointee.reduce_columns(op, x, 1, Int64(n), 0, &columns, t)
                    return [Float(total)] + columns.map { Float($0) }
                }
            }
            try compare("addition of \(n)") {
                var sum = g
                $0.pointee.add_scaled(x, &sum, 0.3, Int64(n))
                return sum
            }
        }
    }
}
