import Glibc
import Kernels
import Testing

@Suite struct MatrixProductTests {
    /// op(A) op(B) in double precision, straight from the definition.
    private func product(
        _ transposeA: Bool, _ transposeB: Bool, _ m: Int, _ n: Int, _ k: Int, _ a: [Float], _ lda: Int, _ b: [Float],
        _ ldb: Int
    ) -> [Double] {
        (0..<m * n).map { element in
            let (i, j) = (element / n, element % n)
            return (0..<k).reduce(0.0) { sum, l in
                let left = transposeA ? a[l * lda + i] : a[i * lda + l]
                let right = transposeB ? b[j * ldb + l] : b[l * ldb + j]
                return sum + Double(left) * Double(right)
            }
        }
    }

    @Test func agreesWithTheDefinition() {
        var random = SeededValues(1)
        var sizes = (0..<30).map { _ in (random.int(1...70), random.int(1...70), random.int(0...90)) }
        sizes += [(3, 5, 20000), (200, 3, 600), (3, 400, 500), (150, 170, 130), (1, 1, 1)]
        for (m, n, k) in sizes {
            for (transposeA, transposeB) in [(false, false), (true, false), (false, true), (true, true)] {
                let lda = (transposeA ? m : k) + random.int(0...3)
                let ldb = (transposeB ? k : n) + random.int(0...3)
                let ldc = n + random.int(0...2)
                let a = random.floats(max(1, lda * max(transposeA ? k : m, 1)))
                let b = random.floats(max(1, ldb * max(transposeB ? n : k, 1)))
                let start = random.floats(m * ldc)
                let exact = product(transposeA, transposeB, m, n, k, a, lda, b, ldb)
                for pool in pools {
                    for beta in [Float(0), 0.5] {
                        var c = beta == 0 ? start.map { _ in Float.nan } : start
                        gemm(
                            transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: 1.5, a: a,
                            lda: lda,
                            b: b, ldb: ldb, beta: beta, c: &c, ldc: ldc, pool: pool)
                        let actual = (0..<m * n).map { c[$0 / n * ldc + $0 % n] }
                        let expected = (0..<m * n).map {
                            1.5 * exact[$0] + (beta == 0 ? 0 : Double(beta) * Double(start[$0 / n * ldc + $0 % n]))
                        }
                        #expect(error(actual, expected) < 1e-5, "\(m)x\(n)x\(k) \(transposeA) \(transposeB)")
                        let gap = (0..<m * ldc).filter { $0 % ldc >= n }
                        #expect(beta == 0 || gap.allSatisfy { c[$0] == start[$0] }, "wrote between the rows")
                    }
                }
            }
        }
    }

    @Test func emptySizes() {
        var c: [Float] = [1, 2, 3, 4]
        gemm(m: 2, n: 2, k: 0, a: [0], lda: 0, b: [0], ldb: 2, beta: 0.5, c: &c, ldc: 2, pool: pools[1])
        #expect(c == [0.5, 1, 1.5, 2])
        gemm(m: 0, n: 2, k: 3, a: [0], lda: 3, b: [0], ldb: 2, c: &c, ldc: 2, pool: pools[1])
        #expect(c == [0.5, 1, 1.5, 2])
    }

    @Test func notANumberIsNotLost() {
        var c: [Float] = [7, 7]
        gemm(m: 1, n: 2, k: 2, a: [0, 1], lda: 2, b: [.nan, 1, 2, 3], ldb: 2, c: &c, ldc: 2, pool: pools[0])
        #expect(c[0].isNaN && c[1] == 3)
    }

    /// Sizes from which another library's product may be taken, among them narrow ones and rows far apart.
    @Test func largeProductsAgreeWithTheDefinition() {
        var random = SeededValues(3)
        for (m, n, k) in [(64, 64, 64), (10, 300, 256), (256, 10, 301), (1, 700, 400), (700, 1, 400), (130, 67, 129)] {
            for (transposeA, transposeB) in [(false, false), (true, false), (false, true), (true, true)] {
                let (lda, ldb, ldc) = ((transposeA ? m : k) + 5, (transposeB ? k : n) + 3, n + 7)
                let a = random.floats(lda * (transposeA ? k : m))
                let b = random.floats(ldb * (transposeB ? n : k))
                let start = random.floats(m * ldc)
                let exact = product(transposeA, transposeB, m, n, k, a, lda, b, ldb)
                for beta in [Float(0), -0.5] {
                    var c = beta == 0 ? start.map { _ in Float.nan } : start
                    gemm(
                        transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: 1.5, a: a, lda: lda,
                        b: b, ldb: ldb, beta: beta, c: &c, ldc: ldc, pool: pools[0])
                    let actual = (0..<m * n).map { c[$0 / n * ldc + $0 % n] }
                    let expected = (0..<m * n).map {
                        1.5 * exact[$0] + (beta == 0 ? 0 : Double(beta) * Double(start[$0 / n * ldc + $0 % n]))
                    }
                    #expect(error(actual, expected) < 1e-5, "\(m)x\(n)x\(k) \(transposeA) \(transposeB)")
                    let gap = (0..<m * ldc).filter { $0 % ldc >= n }
                    #expect(gap.allSatisfy { beta == 0 ? c[$0].isNaN : c[$0] == start[$0] }, "wrote between the rows")
                }
            }
        }
    }

    /// A sample whose values are not finite must be seen to be so, in products of any size.
    @Test func infinitiesAreNotLost() {
        for size in [8, 96] {
            var a = [Float](repeating: 0, count: size * size)
            let b = [Float](repeating: 1, count: size * size)
            a[0] = .infinity
            a[size] = .nan
            var c = [Float](repeating: 0, count: size * size)
            gemm(m: size, n: size, k: size, a: a, lda: size, b: b, ldb: size, c: &c, ldc: size, pool: pools[0])
            #expect(c[..<size].allSatisfy { $0 == .infinity } && c[size..<2 * size].allSatisfy(\.isNaN))
            #expect(c[(2 * size)...].allSatisfy { $0 == 0 })
        }
    }

    @Test func batches() {
        var random = SeededValues(2)
        for (batch, m, n, k) in [(1, 5, 6, 7), (2, 40, 50, 60), (33, 9, 4, 11), (5, 1, 3, 2)] {
            let a = random.floats(batch * m * k)
            let b = random.floats(k * n)
            let exact = (0..<batch).flatMap { product(false, false, m, n, k, Array(a[($0 * m * k)...]), k, b, n) }
            for pool in pools {
                var strided = [Float](repeating: .nan, count: batch * m * n)
                batchedGemm(
                    batch: batch, m: m, n: n, k: k, a: a, lda: k, strideA: m * k, b: b, ldb: n, strideB: 0, c: &strided,
                    ldc: n, strideC: m * n, pool: pool)
                #expect(error(strided, exact) < 1e-5)
                var listed = [Float](repeating: .nan, count: batch * m * n)
                batchedGemm(
                    m: m, n: n, k: k, a: a, lda: k, offsetsA: (0..<batch).map { $0 * m * k }, b: b, ldb: n,
                    offsetsB: Array(repeating: 0, count: batch), c: &listed, ldc: n,
                    offsetsC: (0..<batch).map { $0 * m * n }, pool: pool)
                #expect(error(listed, exact) < 1e-5)
            }
        }
    }

    @Test func configurationNamesTheLibrary() {
        #expect(openBLASConfiguration().contains("OpenBLAS"))
    }

    /// A processor newer than the library is given kernels that fit its instructions.
    @Test(.enabled(if: getenv("OPENBLAS_CORETYPE") == nil && vectorKernelName() != "generic"))
    func productsUseVectors() {
        let cores = ["Haswell", "Zen", "Excavator", "SkylakeX", "Cooperlake", "Sapphire"]
        #expect(cores.contains { openBLASConfiguration().contains($0) })
    }
}
