import CVectorKernels
import Testing

@testable import Kernels

/// Products with packed matrices against sums in double precision: sizes around those of tiles and panels.
@Suite struct PackedMatrixTests {
    private static let sizes = [
        (1, 1, 1), (5, 7, 3), (6, 16, 256), (7, 17, 257), (13, 40, 9), (12, 24, 20), (9, 70, 700), (300, 100, 1),
        (8, 33, 5), (10, 20, 6), (35, 33, 260),
    ]

    @Test(arguments: [false, true])
    func productAgreesWithItsDefinition(transposed: Bool) throws {
        var random = SeededValues(52)
        for (m, n, k) in Self.sizes {
            let (lda, ldc) = (k + 5, n + 1)
            let a = random.floats(m * lda)
            let b = random.floats(k * n)
            let exact = (0..<m * n).map { element -> Double in
                var sum = 0.0
                for p in 0..<k {
                    let right = transposed ? b[element % n * k + p] : b[p * n + element % n]
                    sum += Double(a[element / n * lda + p]) * Double(right)
                }
                return sum
            }
            for table in supportedTables() {
                for adds in [false, true] {
                    let start = random.floats(m * ldc)
                    var c = start
                    let kept = withScratch(PackedMatrix.count(depth: k, columns: n)) { memory in
                        table.pointee.pack_panels(
                            b, Int64(transposed ? 1 : n), Int64(transposed ? k : 1), Int64(k), Int64(n), memory)
                        table.pointee.product_packed(
                            a, Int64(lda), memory, &c, Int64(ldc), Int64(m), Int64(n), Int64(k), adds ? 1 : 0)
                    }
                    let expected = exact.indices.map { exact[$0] + (adds ? Double(start[$0 / n * ldc + $0 % n]) : 0) }
                    let found = exact.indices.map { c[$0 / n * ldc + $0 % n] }
                    let name = "\(String(cString: table.pointee.name)) \(m)x\(n)x\(k)"
                    #expect(kept && error(found, expected) < 1e-5, "\(name)")
                    let gap = c.indices.filter { $0 % ldc >= n }
                    #expect(gap.allSatisfy { c[$0] == start[$0] }, "\(name) wrote between the rows")
                }
            }
        }
    }

    /// Of a symmetric product the upper triangle alone. Denormal numbers are zeros inside, and only there.
    @Test(arguments: [false, true])
    func gramAgreesWithItsDefinition(upper: Bool) {
        var random = SeededValues(54)
        for (rows, columns, k) in Self.sizes where !upper || rows == columns {
            check(rows, columns, k, upper: upper, &random)
        }
        for count in [1, 4, 25, 33, 100] { check(count, count, 40, upper: upper, &random) }
    }

    private func check(_ rows: Int, _ columns: Int, _ k: Int, upper: Bool, _ random: inout SeededValues) {
        let left = random.floats(k * rows)
        let right = upper ? left : random.floats(k * columns)
        for table in supportedTables() {
            let name = "\(String(cString: table.pointee.name)) \(rows)x\(columns)x\(k)"
            for adds in [false, true] {
                let start = random.floats(rows * columns)
                var out = start
                var packed = [Float](repeating: .nan, count: PackedMatrix.count(depth: k, columns: rows))
                var other = [Float](repeating: .nan, count: PackedMatrix.count(depth: k, columns: columns))
                table.pointee.pack_panels(left, Int64(rows), 1, Int64(k), Int64(rows), &packed)
                table.pointee.pack_panels(right, Int64(columns), 1, Int64(k), Int64(columns), &other)
                table.pointee.gram(
                    packed, Int64(rows), other, Int64(columns), Int64(k), &out, Int64(columns), upper ? 1 : 0,
                    adds ? 1 : 0)
                let places = out.indices.filter { !upper || $0 / columns <= $0 % columns }
                let expected = places.map { place in
                    (0..<k).reduce(adds ? Double(start[place]) : 0) {
                        $0 + Double(left[$1 * rows + place / columns]) * Double(right[$1 * columns + place % columns])
                    }
                }
                #expect(error(places.map { out[$0] }, expected) < 1e-5, "\(name)")
            }
        }
        let least = Float.leastNonzeroMagnitude * Float(random.int(1...1))
        #expect(least != 0, "denormal numbers are zeros outside")
    }

    @Test func threadsPackTheSameMatrix() {
        var random = SeededValues(53)
        let (n, k) = (530, 70)
        let b = random.floats(k * n)
        let packed = pools.map { pool in
            var memory = [Float](repeating: .nan, count: PackedMatrix.count(depth: k, columns: n))
            _ = PackedMatrix(b, transposed: true, depth: k, columns: n, into: &memory, pool: pool)
            return memory
        }
        #expect(packed.allSatisfy { $0 == packed[0] } && !packed[0].contains { $0.isNaN })
    }
}
