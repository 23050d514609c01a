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
                positions: positions, headPositions: headPositions, width: width, workers: pool.threadCount)
            let stayed = withScratch(count) {
                embeddingHeadCross(
                    indices: indices, g: g, positions: positions, h: h, headG: headG, headPositions: headPositions,
                    batch: batch, rows: rows, width: width, scale: 2, into: &products, scratch: $0, pool: pool)
            }
            #expect(stayed && error(products, expected) < 1e-5)
        }
    }

    /// Reads of one row whose gradients cancel: what they add is as short as its norm says, and the samples before it keep
    /// what they added.
    @Test(arguments: [1e4, 1e8, 1e20, 2e38] as [Float]) func cancellingReads(size: Float) {
        let (batch, positions, rows, width) = (3, 4, 5, 20)
        let indices: [Int64] = [1, 0, 2, 0, 1, 1, 2, 1, 1, 3, 4, 0]
        var g = [Float](repeating: 0.1, count: batch * positions * width)
        for column in 0..<width {
            g[(positions + 0) * width + column] = size
            g[(positions + 1) * width + column] = 0.25
            g[(positions + 3) * width + column] = -size
        }
        for pool in pools {
            var norms = [Double](repeating: 0, count: batch)
            embeddingNorms(
                indices: indices, g: g, batch: batch, positions: positions, rows: rows, width: width, into: &norms,
                pool: pool)
            // A double holds the small number beside 1e8, and loses it beside 1e20.
            let kept = size < 1e15 ? 0.25 : 0.0
            #expect(abs(norms[1] - (kept * kept + 0.01) * Double(width)) < 1e-6)
            var table = [Float](repeating: 0, count: rows * width)
            embeddingWeightedScatter(
                indices: indices, g: g, batch: batch, positions: positions, rows: rows, width: width, into: &table,
                accumulate: false, pool: pool)
            for index in 0..<rows * width {
                let row = index / width
                // Rows 0: two reads of sample 0, one of 2; 1: one each; 2: 0 and 1; 3 and 4: sample 2.
                let expected = [0.3, 0.2 + kept, 0.2, 0.1, 0.1][row]
                #expect(abs(Double(table[index]) - expected) < 1e-6)
            }
        }
    }

    /// A sum too long for single precision has a factor that makes it short.
    @Test func readsTooLongForOneNumber() {
        let g: [Float] = [1.5e38, 0, 1.5e38 + 1e38, 0]
        var table = [Float](repeating: 0, count: 2)
        embeddingWeightedScatter(
            indices: [0, 0], g: g, factors: [1e-38], batch: 1, positions: 2, rows: 1, width: 2, into: &table,
            accumulate: false, pool: pools[0])
        #expect(abs(table[0] - 4) < 1e-5 && table[1] == 0)
    }

    /// The head's product with reads that cancel is that of what is left of them.
    @Test func tiedHeadOfCancellingReads() {
        let g: [Float] = [1e8, -3e7, 0.5, 0.25, -1e8, 3e7]
        let h: [Float] = [0.3, 0.7]
        let headG: [Float] = [0.6, -0.6]
        let count = embeddingHeadCrossScratchCount(positions: 3, headPositions: 1, width: 2, workers: 1)
        var products = [0.0]
        let stayed = withScratch(count) {
            embeddingHeadCross(
                indices: [1, 1, 1], g: g, positions: 3, h: h, headG: headG, headPositions: 1, batch: 1, rows: 2,
                width: 2, scale: 1, into: &products, scratch: $0, pool: pools[0])
        }
        #expect(stayed && abs(products[0] + 0.6 * (0.5 * 0.3 + 0.25 * 0.7)) < 1e-6)
    }
}
