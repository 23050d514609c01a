import Kernels
import Testing

@Suite struct VocabularyHeadKernelTests {
    private static let (width, classes) = (4, 7)

    /// Norms of samples of `positions` rows with weights of zero, so that all classes are equally likely; and the exact ones
    /// of x^T (1 / classes - onehot) * row weight, in double precision.
    private func norms(
        _ scales: [(x: Float, weight: Float)], positions: Int
    ) -> (found: [Double], exact: [Double]) {
        var random = SeededValues(71)
        let rows = scales.count
        let x = scales.flatMap { scale in random.floats(Self.width).map { $0 * scale.x } }
        let targets = (0..<rows).map { Int64($0 * 3 % Self.classes) }
        let weights = [Float](repeating: 0, count: Self.width * Self.classes)
        let rowWeights = scales.map(\.weight)
        let head = VocabularyHead(
            rows: rows, rowsPerSample: positions, width: Self.width, classes: Self.classes, isClassMajor: true,
            block: .init(rows: 2 * positions, classes: 4))
        var found = [Double](repeating: .nan, count: rows / positions)
        x.withUnsafeBufferPointer { x in
            weights.withUnsafeBufferPointer { weights in
                targets.withUnsafeBufferPointer { targets in
                    found.withUnsafeMutableBufferPointer { found in
                        let operands = VocabularyHead.Operands(
                            x: x.baseAddress!, weights: weights.baseAddress!, bias: nil,
                            targets: targets.baseAddress!)
                        var losses = [Float](repeating: .nan, count: rows)
                        var logSums = losses
                        let count = head.gradientScratchCount(tellsNorms: true, workers: pools[1].threadCount)
                        let stayed = withScratch(max(count, head.lossScratchCount)) { scratch in
                            head.losses(operands, into: &losses, logSums: &logSums, scratch: scratch, pool: pools[1])
                            head.gradients(
                                operands, logSums: logSums, rowWeights: rowWeights,
                                into: .init(x: nil, squaredNorms: found.baseAddress!, bias: nil, rowsPerBias: 1),
                                scratch: scratch, pool: pools[1])
                        }
                        #expect(stayed)
                    }
                }
            }
        }
        let exact = (0..<rows / positions).map { sample in
            var norm = 0.0
            for feature in 0..<Self.width {
                for category in 0..<Self.classes {
                    let sum = (sample * positions..<(sample + 1) * positions).reduce(0.0) { sum, row in
                        let gradient = 1 / Double(Self.classes) - (targets[row] == Int64(category) ? 1 : 0)
                        return sum + Double(x[row * Self.width + feature]) * gradient * Double(rowWeights[row])
                    }
                    norm += sum * sum
                }
            }
            return norm
        }
        return (found, exact)
    }

    /// As with ordinary linear layers: all of a sample's squares, those that make up its gradient, such as are too large,
    /// and a sample without a gradient.
    @Test(arguments: [1, 3]) func squaresThatAreLostAreCounted(positions: Int) {
        let many = { (x: Float, weight: Float, first: (Float, Float)?) in
            (0..<positions).map { (x: $0 == 0 ? first?.0 ?? x : x, weight: $0 == 0 ? first?.1 ?? weight : weight) }
        }
        let (found, exact) = norms(
            many(1e18, 1e-24, nil) + many(1e-10, 1e-10, (1e18, 1e-24)) + many(1e-10, 1e-10, (1e-24, 1e18))
                + many(1e25, 1e-20, nil) + many(2, 0.5, nil) + many(2, 0, nil), positions: positions)
        for (norm, wanted) in zip(found, exact) {
            #expect((norm - wanted).magnitude <= 1e-5 * wanted, "\(norm) for \(wanted)")
        }
        #expect(exact.last == 0)
    }
}
