import Kernels
import Testing

@Suite struct LinearKernelTests {
    /// batch, positions, d, p
    static let sizes: [[Int]] = {
        var random = SeededValues(7)
        return [
            [1, 1, 5, 7], [9, 1, 30, 11], [3, 300, 6, 5], [2, 129, 17, 40], [2, 100, 130, 90], [700, 1, 33, 20],
            [80, 60, 5, 7], [2, 2, 300, 400],
        ] + (0..<25).map { _ in [random.int(1...6), random.int(1...20), random.int(1...25), random.int(1...25)] }
    }()

    /// x_b^T g_b for every sample, in double precision.
    private func gradients(_ x: [Float], _ g: [Float], _ batch: Int, _ positions: Int, _ d: Int, _ p: Int) -> [[Double]]
    {
        (0..<batch).map { sample in
            var out = [Double](repeating: 0, count: d * p)
            for position in sample * positions..<(sample + 1) * positions {
                for i in 0..<d {
                    for j in 0..<p { out[i * p + j] += Double(x[position * d + i]) * Double(g[position * p + j]) }
                }
            }
            return out
        }
    }

    private func biasNorm(_ g: [Float], _ sample: Int, _ positions: Int, _ p: Int) -> Double {
        (0..<p).reduce(0) { total, j in
            let sum = (0..<positions).reduce(0.0) { $0 + Double(g[(sample * positions + $1) * p + j]) }
            return total + sum * sum
        }
    }

    private func norms(
        _ x: [Float], _ g: [Float], _ size: [Int], bias: Bool, ghost: Bool, pool: ThreadPool, start: Double = 1
    ) -> [Double] {
        let (batch, positions, d, p) = (size[0], size[1], size[2], size[3])
        let workers = pool.threadCount
        var out = [Double](repeating: start, count: batch)
        let count =
            ghost
            ? linearGhostNormsScratchCount(positions: positions, d: d, p: p, workers: workers)
            : linearInstantiatedNormsScratchCount(d: d, p: p, workers: workers)
        let stayed = withScratch(count) {
            if ghost {
                linearGhostNorms(
                    x: x, g: g, batch: batch, positions: positions, d: d, p: p, includeBias: bias, into: &out,
                    scratch: $0, pool: pool)
            } else {
                linearInstantiatedNorms(
                    x: x, g: g, batch: batch, positions: positions, d: d, p: p, includeBias: bias, into: &out,
                    scratch: $0, pool: pool)
            }
        }
        #expect(stayed)
        return out.map { $0 - start }
    }

    @Test(arguments: sizes) func normsAndPerSampleGradients(size: [Int]) {
        var random = SeededValues(8)
        let (batch, positions, d, p) = (size[0], size[1], size[2], size[3])
        let x = random.floats(batch * positions * d)
        let g = random.floats(batch * positions * p)
        let exact = gradients(x, g, batch, positions, d, p)
        for pool in pools {
            for bias in [false, true] {
                let expected = (0..<batch).map { sample in
                    exact[sample].reduce(0) { $0 + $1 * $1 } + (bias ? biasNorm(g, sample, positions, p) : 0)
                }
                #expect(error(norms(x, g, size, bias: bias, ghost: true, pool: pool), expected) < 1e-5)
                #expect(error(norms(x, g, size, bias: bias, ghost: false, pool: pool), expected) < 1e-5)
            }
            var dw = [Float](repeating: .nan, count: batch * d * p)
            linearPerSampleGradient(x: x, g: g, batch: batch, positions: positions, d: d, p: p, dw: &dw, pool: pool)
            #expect(error(dw, exact.flatMap { $0 }) < 1e-5)
            linearPerSampleGradient(
                x: x, g: g, batch: batch, positions: positions, d: d, p: p, transposed: true, dw: &dw, pool: pool)
            let transposed = exact.flatMap { sample in (0..<d * p).map { sample[$0 % d * p + $0 / d] } }
            #expect(error(dw, transposed) < 1e-5)
        }
    }

    @Test(arguments: sizes) func weightedContraction(size: [Int]) {
        var random = SeededValues(9)
        let (batch, positions, d, p) = (size[0], size[1], size[2], size[3])
        let exactInput = (random.floats(batch * positions * d), random.floats(batch * positions * p))
        let exact = gradients(exactInput.0, exactInput.1, batch, positions, d, p)
        let start = random.floats(d * p)
        for kind in 0..<4 {
            var (x, g) = exactInput
            var factors = kind == 0 ? [Float](repeating: 1, count: batch) : random.floats(batch)
            if kind == 2 {
                for sample in stride(from: 0, to: batch, by: 3) {
                    factors[sample] = 0
                    x[sample * positions * d] = .nan
                    g[(sample + 1) * positions * p - 1] = -.infinity
                }
            }
            if kind == 3 {
                // Samples at the end, as padding is.
                for sample in (batch + 1) / 2..<batch {
                    factors[sample] = 0
                    x[sample * positions * d] = .nan
                    g[(sample + 1) * positions * p - 1] = -.infinity
                }
            }
            for pool in pools {
                for (transposed, accumulate) in [(false, false), (true, false), (false, true), (true, true)] {
                    var dw = accumulate ? start : start.map { _ in .nan }
                    let count = linearWeightedContractionScratchCount(
                        batch: batch, positions: positions, d: d, p: p, workers: pool.threadCount)
                    let stayed = withScratch(count) { scratch in
                        factors.withUnsafeBufferPointer {
                            linearWeightedContraction(
                                x: x, g: g, factors: kind == 0 ? nil : $0.baseAddress, batch: batch,
                                positions: positions, d: d, p: p, dw: &dw, transposed: transposed,
                                accumulate: accumulate, scratch: scratch, pool: pool)
                        }
                    }
                    let expected = (0..<d * p).map { index in
                        let element = transposed ? index % d * p + index / d : index
                        return (0..<batch).reduce(accumulate ? Double(start[index]) : 0) {
                            $0 + Double(factors[$1]) * exact[$1][element]
                        }
                    }
                    #expect(stayed && error(dw, expected) < 1e-5, "kind \(kind), \(pool.threadCount) threads")
                }
            }
        }
    }

    /// Tokens with a large common input and output gradients that almost cancel: the exact squared norm is tiny against the
    /// terms of the Gram sum, whose single-precision value is rounding error, as the test first shows.
    @Test func cancellationIsCaught() {
        var random = SeededValues(10)
        let (positions, d, p) = (64, 32, 24)
        let mean = random.floats(d).map { 100 * $0 }
        let x = (0..<positions * d).map { mean[$0 % d] + 0.001 * Float.random(in: -1...1, using: &random) }
        var g = random.floats(positions * p)
        for j in 0..<p {
            let sum = (0..<positions).reduce(0.0) { $0 + Double(g[$1 * p + j]) }
            g[j] -= Float(sum)
        }
        let exact = gradients(x, g, 1, positions, d, p)[0].reduce(0) { $0 + $1 * $1 }
        var naive: Float = 0
        for s in 0..<positions {
            for t in 0..<positions {
                let left = (0..<d).reduce(Float(0)) { $0 + x[s * d + $1] * x[t * d + $1] }
                let right = (0..<p).reduce(Float(0)) { $0 + g[s * p + $1] * g[t * p + $1] }
                naive += left * right
            }
        }
        #expect((Double(naive) - exact).magnitude > 0.5 * exact, "the case does not cancel: \(naive), \(exact)")
        for ghost in [false, true] {
            let norm = norms(x, g, [1, positions, d, p], bias: false, ghost: ghost, pool: pools[1])[0]
            #expect((norm - exact).magnitude < 0.05 * exact, "\(norm) for \(exact)")
        }
    }

    /// Positions whose squares single precision does not hold: all of a sample's, those that make up its gradient, and
    /// such as are too large.
    @Test func squaresThatAreLostAreCounted() {
        var random = SeededValues(12)
        let (positions, d, p) = (5, 4, 3)
        let scales: [[(x: Float, g: Float)]] = [
            Array(repeating: (1e18, 1e-24), count: positions),
            [(1e18, 1e-24)] + Array(repeating: (1e-10, 1e-10), count: positions - 1),
            [(1e-24, 1e18)] + Array(repeating: (1e-10, 1e-10), count: positions - 1),
            Array(repeating: (1e25, 1e-20), count: positions),
        ]
        let x = scales.joined().flatMap { scale in random.floats(d).map { $0 * scale.x } }
        let g = scales.joined().flatMap { scale in random.floats(p).map { $0 * scale.g } }
        let exact = gradients(x, g, scales.count, positions, d, p).map { $0.reduce(0) { $0 + $1 * $1 } }
        for ghost in [false, true] {
            let found = norms(
                x, g, [scales.count, positions, d, p], bias: false, ghost: ghost, pool: pools[1], start: 0)
            for (norm, wanted) in zip(found, exact) {
                #expect((norm - wanted).magnitude < 1e-5 * wanted, "\(norm) for \(wanted)")
            }
        }
    }

    /// Products too small for a normal number add up to what counts, beside one that is large enough or alone.
    @Test(arguments: [0, Float(0x1p-55)]) func manySmallTermsAreCounted(large: Float) {
        var random = SeededValues(14)
        let (positions, d, p) = (4, 4, 1000)
        let x = random.floats(positions * d).map { $0 * 0x1p60 }
        var g = random.floats(positions * p).map { (1 + $0.magnitude) * 0x1p-65 }
        for position in 0..<positions where large > 0 { g[position * p] = large }
        let exact = gradients(x, g, 1, positions, d, p)[0].reduce(0) { $0 + $1 * $1 }
        let norm = norms(x, g, [1, positions, d, p], bias: false, ghost: true, pool: pools[0], start: 0)[0]
        #expect((norm - exact).magnitude < 1e-5 * exact, "\(norm) for \(exact)")
        let product = crossProducts(x, g, positions, x, g, positions, batch: 1, d: d, p: p, pool: pools[0], start: 0)[0]
        #expect((product - 2 * exact).magnitude < 1e-5 * 2 * exact, "\(product) for \(2 * exact)")
    }

    @Test func badSampleSpoilsOnlyItself() {
        var random = SeededValues(11)
        let size = [4, 5, 7, 3]
        var x = random.floats(4 * 5 * 7)
        let g = random.floats(4 * 5 * 3)
        for ghost in [false, true] {
            let clean = norms(x, g, size, bias: true, ghost: ghost, pool: pools[1])
            let saved = x[2 * 35 + 3]
            x[2 * 35 + 3] = .nan
            let dirty = norms(x, g, size, bias: true, ghost: ghost, pool: pools[1])
            x[2 * 35 + 3] = saved
            #expect(!dirty[2].isFinite)
            #expect([0, 1, 3].allSatisfy { dirty[$0] == clean[$0] })
        }
        let zeros = [Float](repeating: 0, count: g.count)
        #expect(norms(x, zeros, size, bias: true, ghost: true, pool: pools[0]) == [0, 0, 0, 0])
    }

    @Test func crossProducts() {
        var random = SeededValues(12)
        for (batch, positions1, positions2, d, p) in [(3, 4, 5, 6, 7), (2, 1, 1, 9, 3), (2, 140, 130, 20, 10)] {
            let x1 = random.floats(batch * positions1 * d)
            let g1 = random.floats(batch * positions1 * p)
            let x2 = random.floats(batch * positions2 * d)
            let g2 = random.floats(batch * positions2 * p)
            let first = gradients(x1, g1, batch, positions1, d, p)
            let second = gradients(x2, g2, batch, positions2, d, p)
            let expected = (0..<batch).map { 5 + 2 * zip(first[$0], second[$0]).reduce(0) { $0 + $1.0 * $1.1 } }
            for pool in pools {
                let found = crossProducts(
                    x1, g1, positions1, x2, g2, positions2, batch: batch, d: d, p: p, pool: pool, start: 5)
                #expect(error(found, expected) < 1e-5)
            }
        }
    }

    private func crossProducts(
        _ x1: [Float], _ g1: [Float], _ positions1: Int, _ x2: [Float], _ g2: [Float], _ positions2: Int, batch: Int,
        d: Int, p: Int, pool: ThreadPool, start: Double
    ) -> [Double] {
        var out = [Double](repeating: start, count: batch)
        let count = linearCrossScratchCount(
            positions1: positions1, positions2: positions2, d: d, p: p, workers: pool.threadCount)
        let stayed = withScratch(count) {
            linearCross(
                x1: x1, g1: g1, positions1: positions1, x2: x2, g2: g2, positions2: positions2, batch: batch, d: d,
                p: p, scale: 2, into: &out, scratch: $0, pool: pool)
        }
        #expect(stayed)
        return out
    }

    @Test func sumsOfKeptGradients() {
        var random = SeededValues(13)
        for (batch, n) in [(1, 1), (5, 5000), (300, 10), (7, 2049)] {
            var kept = random.floats(batch * n)
            let clean = kept
            var factors = random.floats(batch)
            if batch > 1 {
                factors[1] = 0
                kept[n] = .nan
            }
            let start = random.floats(n)
            for pool in pools {
                var out = start
                weightedSum(
                    perSample: kept, factors: factors, batch: batch, n: n, into: &out, accumulate: true, pool: pool)
                let expected = (0..<n).map { index in
                    (0..<batch).reduce(Double(start[index])) {
                        $0 + Double(factors[$1]) * Double(clean[$1 * n + index])
                    }
                }
                #expect(error(out, expected) < 1e-5)
                weightedSum(perSample: clean, batch: batch, n: n, into: &out, accumulate: false, pool: pool)
                let plain = (0..<n).map { index in (0..<batch).reduce(0.0) { $0 + Double(clean[$1 * n + index]) } }
                #expect(error(out, plain) < 1e-5)
                var norms = [Double](repeating: 2, count: batch)
                squaredNorms(perSample: clean, batch: batch, n: n, into: &norms, pool: pool)
                let squares = (0..<batch).map { sample in
                    (0..<n).reduce(2.0) { $0 + Double(clean[sample * n + $1]) * Double(clean[sample * n + $1]) }
                }
                #expect(error(norms, squares) < 1e-12)
            }
        }
    }
}
