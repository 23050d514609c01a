import TensorGraph
import TestSupport
import Testing

/// The rules for two operands, against the samples that reach single elements of the result.
@Suite struct BatchRulePairTests {
    private let batch = 2

    /// What a rule must answer: a factor if every element sees one sample at most and a factor says which; nil factor if
    /// no element sees any. `reached` are the samples that reach each element.
    private func expect(
        _ shape: [Int], reached: [Set<Int>], _ place: Comment, _ rule: () throws -> BatchFactor?
    ) {
        let labels = SampleLabels(shape: shape, samples: reached.map(\.first))
        let isApart = reached.allSatisfy { $0.count <= 1 }
        let isFree = reached.allSatisfy(\.isEmpty)
        let factor = isApart ? labels.factor(batch: batch) : nil
        guard isFree || factor != nil else {
            #expect(throws: BatchMixing.self, place) { try rule() }
            return
        }
        do {
            let found = try rule()
            #expect(found == factor, place)
        } catch {
            Issue.record(error, place)
        }
    }

    private func states(_ shape: [Int]) -> [BatchFactor?] {
        SampleLabels.factors(of: shape, batch: batch) + [nil]
    }

    /// Batch-free operands have one entry where they meet the batch, or do not reach so far.
    @Test(arguments: [
        ([2, 3], [2, 3]), ([4, 3], [4, 1]), ([2, 3], [3]), ([2, 1, 4], [2, 4]), ([4], [2, 1]), ([2, 2], [2, 2]),
        ([1, 4], [4, 4]), ([3, 2, 1], [1, 4]),
    ])
    func elementwise(_ left: [Int], _ right: [Int]) throws {
        let shape = try #require(broadcastedShape([left, right]))
        for first in states(left) {
            for second in states(right) {
                let labels = [SampleLabels(left, first, batch: batch), SampleLabels(right, second, batch: batch)]
                var reached = SampleLabels.places(of: shape).map { place in
                    Set(labels.compactMap { $0.broadcast(to: place) })
                }
                // An operand without samples that varies where the batch lies tells the samples apart.
                if let factor = first == nil ? second : first, (first == nil) != (second == nil) {
                    let (batched, free) = first == nil ? (right, left) : (left, right)
                    let axis = factor.axis + free.count - batched.count
                    if axis >= 0, free[axis] != 1 { reached[0] = [0, 1] }
                }
                expect(
                    shape, reached: reached,
                    "\(left) \(String(describing: first)), \(right) \(String(describing: second))"
                ) {
                    try BatchRules.elementwise(
                        [BatchOperand(left, first, batch: batch), BatchOperand(right, second, batch: batch)],
                        outputRank: shape.count)
                }
            }
        }
    }

    @Test(arguments: [
        ([2, 3], [3, 4]), ([4, 2], [2, 6]), ([2, 3, 4], [4, 5]), ([2, 3, 4], [2, 4, 5]), ([2, 4, 2, 2], [4, 2, 2]),
        ([4, 2], [3, 2, 4]), ([1, 2, 4], [2, 4, 2]),
    ])
    func matmul(_ left: [Int], _ right: [Int]) throws {
        let leading = try #require(broadcastedShape([Array(left.dropLast(2)), Array(right.dropLast(2))]))
        let (m, k, n) = (left[left.count - 2], left[left.count - 1], right[right.count - 1])
        let shape = leading + [m, n]
        for first in states(left) {
            for second in states(right) {
                let labels = [SampleLabels(left, first, batch: batch), SampleLabels(right, second, batch: batch)]
                var reached = SampleLabels.places(of: shape).map { place in
                    let (matrix, row, column) = (
                        Array(place.dropLast(2)), place[place.count - 2], place[place.count - 1]
                    )
                    return Set(
                        (0..<k).flatMap { index in
                            [
                                labels[0].broadcast(to: matrix + [row, index]),
                                labels[1].broadcast(to: matrix + [index, column]),
                            ].compactMap { $0 }
                        })
                }
                // One matrix for each sample, but the same for every batch: unknown elements may differ.
                if let factor = first == nil ? second : first, (first == nil) != (second == nil) {
                    let (batched, free) = first == nil ? (right, left) : (left, right)
                    let axis = factor.axis + free.count - batched.count
                    if factor.axis < batched.count - 2, axis >= 0, free[axis] != 1 { reached[0] = [0, 1] }
                }
                expect(
                    shape, reached: reached,
                    "\(left) \(String(describing: first)), \(right) \(String(describing: second))"
                ) {
                    try BatchRules.matmul(
                        BatchOperand(left, first, batch: batch), BatchOperand(right, second, batch: batch),
                        outputRank: shape.count)
                }
            }
        }
    }

    @Test func refusalsAreNamed() {
        func matmul(_ left: ([Int], Int?), _ right: ([Int], Int?)) throws -> BatchFactor? {
            try BatchRules.matmul(
                BatchOperand(left.0, left.1.map { BatchFactor(axis: $0) }, batch: 2),
                BatchOperand(right.0, right.1.map { BatchFactor(axis: $0) }, batch: 2),
                outputRank: max(left.0.count, right.0.count))
        }
        let cases: [(([Int], Int?), ([Int], Int?), BatchMixing)] = [
            (([3, 2], 1), ([2, 4], nil), BatchMixing(axis: 1, "it contracts over the batch")),
            (([3, 2], nil), ([2, 4], 0), BatchMixing(axis: 0, "it contracts over the batch")),
            (([2, 3], 0), ([3, 2], 1), BatchMixing(axis: 0, "it multiplies every sample with every other")),
            (([2, 5, 3], 0), ([3, 2], 1), BatchMixing(axis: 1, "it multiplies every sample with every other")),
            (
                ([2, 5, 3], 0), ([2, 3, 4], nil),
                BatchMixing(axis: 0, "an operand differs by the position of a sample in the batch")
            ),
        ]
        for (left, right, expected) in cases {
            #expect(throws: expected) { try matmul(left, right) }
        }
        let elementwise = #expect(throws: BatchMixing.self) {
            try BatchRules.elementwise(
                [
                    BatchOperand([2, 2], BatchFactor(axis: 0), batch: 2),
                    BatchOperand([2, 2], BatchFactor(axis: 1), batch: 2),
                ],
                outputRank: 2)
        }
        #expect(elementwise?.reason == "its operands hold the samples on different axes (axis 0 and axis 1)")
    }
}
