import Kernels
import Testing

@Suite struct EmbeddingTests {
    /// batch, positions, rows, width
    static let sizes = [[3, 7, 4, 5], [1, 1, 10, 33], [2, 200, 9, 40], [5, 3, 1, 17]]

    private func tables(_ indices: [Int64], _ g: [Float], _ size: [Int]) -> [[Double]] {
        let (batch, positions, rows, width) = (size[0], size[1], size[2], size[3])
        return (0..<batch).map { sample in
            var table = [Double](repeating: 0, count: rows * width)
            for position in sample * positions..<(sample + 1) * positions {
                for column in 0..<width {
                    table[Int(indices[position]) * width + column] += Double(g[position * width + column])
                }
            }
            return table
        }
    }

    @Test(arguments: sizes) func normsScatterAndDenseGradients(size: [Int]) {
        var random = SeededValues(14)
        let (batch, positions, rows, width) = (size[0], size[1], size[2], size[3])
        let indices = (0..<batch * positions).map { _ in Int64(random.int(0...rows - 1)) }
        var g = random.floats(batch * positions * width)
        let exact = tables(indices, g, size)
        var factors = random.floats(batch)
        let start = random.floats(rows * width)
        for pool in pools {
            var norms = [Double](repeating: 3, count: batch)
            embeddingNorms(
                indices: indices, g: g, batch: batch, positions: positions, rows: rows, width: width, into: &norms,
                pool: pool)
            #expect(error(norms, exact.map { 3 + $0.reduce(0) { $0 + $1 * $1 } }) < 1e-6)
            var dense = [Float](repeating: .nan, count: batch * rows * width)
            embeddingPerSampleGradient(
                indices: indices, g: g, batch: batch, positions: positions, rows: rows, width: width, into: &dense,
                pool: pool)
            #expect(error(dense, exact.flatMap { $0 }) < 1e-5)
        }
        if batch > 1 {
            factors[1] = 0
            g[positions * width] = .nan
        }
        let expected = (0..<rows * width).map { index in
            (0..<batch).reduce(0.0) { $0 + Double(factors[$1]) * exact[$1][index] }
        }
        var results: [[Float]] = []
        for pool in pools {
            var table = start
            embeddingWeightedScatter(
                indices: indices, g: g, factors: factors, batch: batch, positions: positions, rows: rows, width: width,
                into: &table, accumulate: true, pool: pool)
            #expect(error(table, zip(start, expected).map { Double($0) + $1 }) < 1e-5)
            embeddingWeightedScatter(
                indices: indices, g: g, factors: factors, batch: batch, positions: positions, rows: rows, width: width,
                into: &table, accumulate: false, pool: pool)
            #expect(error(table, expected) < 1e-5)
            results.append(table)
        }
        #expect(results.allSatisfy { $0 == results[0] })
    }

    @Test(arguments: sizes) func tiedHead(size: [Int]) {
        var random = SeededValues(15)
        let (batch, positions, rows, width) = (size[0], size[1], size[2], size[3])
        let headPositions = positions + 2
        let indices = (0..<batch * positions).map { _ in Int64(random.int(0...rows - 1)) }
        let g = random.floats(batch * positions * width)
        let h = random.floats(batch * headPositions * width)
        let headG = random.floats(batch * headPositions * rows)
        let read = tables(indices, g, size)
        let expected = (0..<batch).map { sample -> Double in
            var sum = 0.0
            for row in 0..<rows {
                for column in 0..<width {
                    let head = (sample * headPositions..<(sample + 1) * headPositions).reduce(0.0) {
                        $0 + Double(headG[$1 * rows + row]) * Double(h[$1 * width + column])
                    }
                    sum += head * read[sample][row * width + column]
                }
            }
            return 1 + 2 * sum
        }
        for pool in pools {
            var products = [Double](repeating: 1, count: batch)
            let count = embeddingHeadCrossScratchCount(
                positions: positions, headPositions: headPositions, workers: pool.threadCount)
            let stayed = withScratch(count) {
                embeddingHeadCross(
                    indices: indices, g: g, positions: positions, h: h, headG: headG, headPositions: headPositions,
                    batch: batch, rows: rows, width: width, scale: 2, into: &products, scratch: $0, pool: pool)
            }
            #expect(stayed && error(products, expected) < 1e-5)
        }
    }
}
