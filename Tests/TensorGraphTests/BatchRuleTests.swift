import TensorGraph
import TestSupport
import Testing

/// The rules that most operations share, against the samples of single elements.
@Suite struct BatchRuleTests {
    private let batch = 3

    /// All shapes of some element count without ones, and with a one inserted anywhere.
    private static func shapes(_ count: Int) -> [[Int]] {
        func factorizations(_ count: Int) -> [[Int]] {
            count == 1
                ? [[]]
                : (2...count).filter { count % $0 == 0 }.flatMap { first in
                    factorizations(count / first).map { [first] + $0 }
                }
        }
        let plain = factorizations(count)
        return plain + plain.flatMap { shape in (0...shape.count).map { Array(shape[..<$0]) + [1] + shape[$0...] } }
    }

    /// A view has a factor exactly if some factor of the new shape means the same samples.
    @Test func viewsOfEveryShape() {
        let shapes = Self.shapes(24)
        for shape in shapes {
            for factor in SampleLabels.factors(of: shape, batch: 2) {
                let labels = SampleLabels(shape, factor, batch: 2)
                for target in shapes {
                    let expected = SampleLabels(shape: target, samples: labels.samples).factor(batch: 2)
                    let found = try? BatchRules.view(BatchOperand(shape, factor, batch: 2), to: target)
                    #expect(found == expected, "\(shape) with \(factor) as \(target)")
                }
            }
        }
    }

    /// shape, factor, new shape, factor of the view; nil where it is refused
    @Test(arguments: [
        ([3, 5, 4], BatchFactor(axis: 0), [15, 4], BatchFactor(axis: 0, inner: 5)),
        ([15, 4], BatchFactor(axis: 0, inner: 5), [3, 5, 4], BatchFactor(axis: 0)),
        ([5, 3, 4], BatchFactor(axis: 1), [15, 4], BatchFactor(axis: 0, outer: 5)),
        ([3, 8, 2, 2], BatchFactor(axis: 0), [1, 24, 2, 2], BatchFactor(axis: 1, inner: 8)),
        // Window partition [B, H, W, C] -> [B, h, 2, w, 2, C] and, after a transposition, -> [B h w, 2, 2, C].
        ([3, 4, 6, 2], BatchFactor(axis: 0), [3, 2, 2, 3, 2, 2], BatchFactor(axis: 0)),
        ([3, 2, 3, 2, 2, 2], BatchFactor(axis: 0), [18, 2, 2, 2], BatchFactor(axis: 0, inner: 6)),
        ([3, 4], BatchFactor(axis: 0), [12], BatchFactor(axis: 0, inner: 4)),
        ([3], BatchFactor(axis: 0), [1, 3, 1], BatchFactor(axis: 1)),
        ([6, 4], BatchFactor(axis: 0, outer: 2), [2, 3, 4], BatchFactor(axis: 1)),
    ])
    func knownViews(_ shape: [Int], _ factor: BatchFactor, _ target: [Int], _ expected: BatchFactor) throws {
        #expect(try BatchRules.view(BatchOperand(shape, factor, batch: batch), to: target) == expected)
        #expect(try BatchRules.view(BatchOperand(shape, nil, batch: batch), to: target) == nil)
    }

    @Test func viewsThatCutTheBatchAreNamed() {
        let mixing = #expect(throws: BatchMixing.self) {
            try BatchRules.view(BatchOperand([5, 4, 2], BatchFactor(axis: 1), batch: 4), to: [5, 2, 2, 2])
        }
        #expect(mixing == BatchMixing(axis: 1, "the new shape [5, 2, 2, 2] splits the batch of 4 over several axes"))
    }

    @Test func viewsWithoutElements() throws {
        let operand = BatchOperand([0, 3, 4], BatchFactor(axis: 1), batch: 3)
        #expect(try BatchRules.view(operand, to: [0, 3, 2, 2])?.axis == 1)
        let inside = BatchOperand([3, 0, 4], BatchFactor(axis: 0), batch: 3)
        #expect(try BatchRules.view(inside, to: [3, 4, 0]) == BatchFactor(axis: 0))
    }

    @Test func transpositions() {
        let shape = [2, 6, 5]
        for permutation in [[0, 1, 2], [1, 0, 2], [2, 0, 1], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            let moved = permutation.map { shape[$0] }
            for factor in SampleLabels.factors(of: shape, batch: batch) {
                let labels = SampleLabels(shape, factor, batch: batch)
                let expected = SampleLabels.places(of: moved).map { place in
                    labels[shape.indices.map { place[permutation.firstIndex(of: $0)!] }]
                }
                let found = BatchRules.transpose(BatchOperand(shape, factor, batch: batch), permutation: permutation)
                #expect(SampleLabels(moved, found, batch: batch).samples == expected)
            }
            #expect(BatchRules.transpose(BatchOperand(shape, nil, batch: batch), permutation: permutation) == nil)
        }
    }

    @Test(arguments: [[0], [1], [2], [0, 2], [0, 1], [], [0, 1, 2]], [false, true])
    func reductions(_ axes: [Int], keepingAxes: Bool) {
        let shape = [3, 6, 3]
        for factor in SampleLabels.factors(of: shape, batch: batch) {
            let labels = SampleLabels(shape, factor, batch: batch)
            let reduced = shape.enumerated().compactMap { axes.contains($0) ? (keepingAxes ? 1 : nil) : $1 }
            var members = [Set<Int>](repeating: [], count: reduced.elementCount)
            for (place, sample) in zip(SampleLabels.places(of: shape), labels.samples) {
                let target = place.enumerated().compactMap { axes.contains($0) ? (keepingAxes ? 0 : nil) : $1 }
                members[zip(target, reduced.rowMajorStrides).reduce(0) { $0 + $1.0 * $1.1 }].insert(sample!)
            }
            let operand = BatchOperand(shape, factor, batch: batch)
            if members.contains(where: { $0.count > 1 }) {
                let mixing = #expect(throws: BatchMixing.self) {
                    try BatchRules.reduce(operand, axes: axes, keepingAxes: keepingAxes)
                }
                #expect(mixing == BatchMixing(axis: factor.axis, "it reduces over the batch"))
            } else {
                let found = try? BatchRules.reduce(operand, axes: axes, keepingAxes: keepingAxes)
                #expect(SampleLabels(reduced, found, batch: batch).samples == members.map(\.first))
            }
        }
    }

    @Test func operationsAlongAxes() throws {
        let operand = BatchOperand([4, 3, 5], BatchFactor(axis: 1), batch: 3)
        #expect(try BatchRules.along([0, 2], operand, "normalises") == BatchFactor(axis: 1))
        #expect(try BatchRules.along([1], BatchOperand([4, 3, 5], nil, batch: 3), "normalises") == nil)
        let mixing = #expect(throws: BatchMixing.self) { try BatchRules.along([1, 2], operand, "normalises") }
        #expect(mixing == BatchMixing(axis: 1, "it normalises over the batch"))
    }

    @Test func joining() throws {
        let samples = BatchOperand([3, 2, 4], BatchFactor(axis: 0), batch: 3)
        let transposed = BatchOperand([3, 3, 4], BatchFactor(axis: 1), batch: 3)
        let free = BatchOperand([3, 5, 4], nil, batch: 3)
        let uniform = BatchOperand(
            [3, 1, 4], nil, batch: 3, constant: Constant([Float](repeating: 1, count: 12), shape: [3, 1, 4]))
        func joined(_ operands: [BatchOperand], _ axis: Int) throws(BatchMixing) -> BatchFactor? {
            try BatchRules.concatenate(operands, axis: axis)
        }
        #expect(try joined([samples, samples, uniform], 1) == BatchFactor(axis: 0))
        #expect(try joined([free, free], 0) == nil)
        let twice = BatchOperand([6, 2, 4], BatchFactor(axis: 0, outer: 2), batch: 3)
        #expect(try joined([samples, twice], 0) == BatchFactor(axis: 0, outer: 3))
        let pairs = BatchOperand([6, 2, 4], BatchFactor(axis: 0, inner: 2), batch: 3)
        let refusals: [([BatchOperand], Int, String)] = [
            ([samples, free], 0, "it joins a batch with a tensor that holds no samples along the batch"),
            ([samples, pairs], 0, "its operands hold the samples on different axes"),
            ([samples, transposed], 2, "its operands hold the samples on different axes"),
            ([samples, free], 1, "an operand differs by the position of a sample in the batch"),
            ([samples, BatchOperand([1, 2, 4], nil, batch: 3)], 1, "an operand holds one entry where the batch lies"),
        ]
        for (operands, axis, reason) in refusals {
            let mixing = #expect(throws: BatchMixing.self) { try joined(operands, axis) }
            #expect(mixing?.reason == reason)
        }
    }
}
