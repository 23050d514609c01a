import Kernels
import ONNXFormat
import Operators
import TensorGraph
import Testing

/// Where the samples lie after an operation, or that they meet. Every refusal here is a leak that would go unnoticed.
@Suite struct BatchRuleTests {
    struct Rule: Sendable, CustomTestStringConvertible {
        var operation: any Operation
        var shapes: [[Int]]
        var factors: [BatchFactor?]
        /// Nil where samples meet.
        var result: BatchFactor?

        init(_ operation: any Operation, _ operands: [([Int], BatchFactor?)], _ result: BatchFactor?) {
            self.operation = operation
            (shapes, factors) = (operands.map(\.0), operands.map(\.1))
            self.result = result
        }

        var testDescription: String { "\(operation) of \(shapes) with \(factors)" }
    }

    static let batch = 6
    private static let b0 = BatchFactor(axis: 0)
    private static let b1 = BatchFactor(axis: 1)
    private static let nested = BatchFactor(axis: 0, outer: 2, inner: 3)

    /// Six samples side by side in the channels, in six groups or three.
    static let groups: [Rule] = {
        func convolution(groups: Int) -> Convolution {
            Convolution(ConvolutionGeometry(groups: groups, strides: [1], dilations: [1], padsBegin: [0], padsEnd: [0]))
        }
        let (pairs, triples) = (BatchFactor(axis: 1, inner: 2), BatchFactor(axis: 1, inner: 3))
        let kernels = BatchFactor(axis: 0, inner: 3)
        return [
            Rule(convolution(groups: 6), [([1, 12, 5], pairs), ([18, 2, 3], kernels)], triples),
            Rule(
                convolution(groups: 12), [([1, 12, 5], pairs), ([36, 1, 3], BatchFactor(axis: 0, inner: 6))],
                BatchFactor(axis: 1, inner: 6)),
            Rule(convolution(groups: 6), [([1, 12, 5], pairs), ([18, 2, 3], BatchFactor(axis: 0, outer: 3))], nil),
            Rule(convolution(groups: 6), [([1, 12, 5], pairs), ([18, 2, 3], nil)], nil),
            Rule(convolution(groups: 3), [([1, 12, 5], pairs), ([18, 4, 3], kernels)], nil),
            Rule(convolution(groups: 6), [([6, 12, 5], BatchFactor(axis: 0)), ([18, 2, 3], kernels)], nil),
        ]
    }()

    static let elementwise: [Rule] = [
        Rule(Binary(.add), [([6, 3], b0), ([3], nil)], b0), Rule(Binary(.add), [([6, 3], b0), ([6, 1], b0)], b0),
        Rule(Binary(.mul), [([3], nil), ([2, 6, 3], b1)], b1),
        Rule(Binary(.add), [([36, 3], nested), ([1, 3], nil)], nested),
        Rule(Binary(.add), [([6], b0), ([2, 3, 6], BatchFactor(axis: 2))], BatchFactor(axis: 2)),
        Rule(Binary(.add), [([6, 6], b0), ([6, 6], b1)], nil), Rule(Binary(.add), [([6, 1], b0), ([1, 6], b1)], nil),
        Rule(Binary(.add), [([6, 6], b0), ([6], b0)], nil),
        Rule(Binary(.add), [([36, 3], nested), ([36, 1], b0)], nil),
        // One row for each position in the batch: sample 0 is treated unlike sample 1.
        Rule(Binary(.add), [([6, 3], b0), ([6, 3], nil)], nil),
        Rule(Binary(.add), [([6, 3], b0), ([6, 1], nil)], nil),
        Rule(Select(), [([6, 3], b0), ([3], nil), ([1], nil)], b0),
        Rule(Select(), [([6, 1], b0), ([6, 6], b1), ([1], nil)], nil),
        Rule(Comparison(.less), [([6, 3], b0), ([6, 3], b0)], b0),
        Rule(Comparison(.less), [([6, 6], b0), ([6, 6], b1)], nil),
        Rule(Unary(.exp), [([2, 6], b1)], b1), Rule(FloatTest(.isNaN), [([36], nested)], nested),
        Rule(Convert(to: .int64), [([2, 6], b1)], b1),
    ]

    static let reductions: [Rule] = [
        Rule(Reduction(.sum, axes: [1], keepsAxes: false), [([6, 3, 2], b0)], b0),
        Rule(Reduction(.max, axes: [0], keepsAxes: false), [([3, 6, 2], b1)], b0),
        Rule(Reduction(.mean, axes: [0], keepsAxes: true), [([3, 6], b1)], b1),
        Rule(Reduction(.sum, axes: [], keepsAxes: true), [([6], b0)], b0),
        Rule(Reduction(.mean, axes: [0], keepsAxes: true), [([6, 3], b0)], nil),
        Rule(Reduction(.l2, axes: [0, 1], keepsAxes: false), [([36, 3], nested)], nil),
        Rule(ArgumentSearch(.max, axis: 1, keepsAxis: false, selectsLast: false), [([6, 3, 2], b0)], b0),
        Rule(ArgumentSearch(.max, axis: 0, keepsAxis: true, selectsLast: false), [([6, 3], b0)], nil),
        Rule(CumulativeSum(axis: 1), [([6, 3], b0)], b0), Rule(CumulativeSum(axis: 0), [([6, 3], b0)], nil),
    ]

    static let layout: [Rule] = [
        Rule(View(shape: [6, 12]), [([6, 3, 4], b0)], b0),
        Rule(View(shape: [18, 4]), [([6, 3, 4], b0)], BatchFactor(axis: 0, inner: 3)),
        Rule(View(shape: [3, 6, 2, 2]), [([18, 4], BatchFactor(axis: 0, outer: 3))], b1),
        Rule(View(shape: [2, 3, 12]), [([6, 3, 4], b0)], nil), Rule(View(shape: [9, 8]), [([6, 3, 4], b0)], nil),
        Rule(Transposition(permutation: [1, 2, 0]), [([6, 3, 4], b0)], BatchFactor(axis: 2)),
        Rule(Broadcasting(shape: [2, 6, 5]), [([6, 1], b0)], b1),
        Rule(Broadcasting(shape: [0, 3]), [([1, 3], BatchFactor(axis: 0))], nil),
        Rule(Concatenation(axis: 1), [([6, 3], b0), ([6, 2], b0)], b0),
        Rule(Concatenation(axis: 0), [([6, 3], b0), ([6, 3], b0)], BatchFactor(axis: 0, outer: 2)),
        Rule(Concatenation(axis: 0), [([6, 3], b0), ([6, 3], nil)], nil),
        Rule(Concatenation(axis: 2), [([6, 6, 1], b0), ([6, 6, 1], b1)], nil),
        Rule(Concatenation(axis: 1), [([6, 3], b0), ([6, 3], nil)], nil),
        Rule(Slicing(starts: [0, 1], steps: [1, 1], counts: [6, 2]), [([6, 3], b0)], b0),
        Rule(Slicing(starts: [0, 0], steps: [1, 1], counts: [5, 3]), [([6, 3], b0)], nil),
        Rule(Slicing(starts: [5, 0], steps: [-1, 1], counts: [6, 3]), [([6, 3], b0)], nil),
        Rule(Padding(mode: .edge, before: [0, 1], after: [0, 1]), [([6, 3], b0)], b0),
        Rule(Padding(mode: .edge, before: [1, 0], after: [0, 0]), [([6, 3], b0)], nil),
        Rule(Padding(mode: nil, before: [0, 1], after: [0, 0]), [([6, 3], b0), ([], nil)], b0),
        Rule(Padding(mode: nil, before: [0, 1], after: [0, 0]), [([6, 3], b0), ([1], b0)], nil),
        Rule(Triangle(isUpper: true, diagonal: 0), [([6, 3, 3], b0)], b0),
        Rule(Triangle(isUpper: true, diagonal: 0), [([3, 6], b1)], nil),
    ]

    @Test(arguments: elementwise + reductions + layout + groups)
    func follows(_ rule: Rule) throws {
        let result = try outputFactor(
            rule.operation, rule.shapes, rule.factors, batch: Self.batch,
            elementTypes: rule.operation is Select ? [.bool] : [])
        expect(result, rule)
    }

    private func expect(_ result: Result<BatchFactor?, BatchMixing>, _ rule: Rule) {
        if let expected = rule.result {
            #expect(result == .success(expected))
        } else {
            #expect(throws: BatchMixing.self) { try result.get() }
        }
    }

    // MARK: Lookups

    static let lookups: [Rule] = [
        Rule(Gathering(axis: 0), [([9, 3], nil), ([6, 2], b0)], b0),
        Rule(Gathering(axis: 1), [([9, 5, 3], nil), ([6], b0)], b1),
        Rule(Gathering(axis: 1), [([6, 5], b0), ([2], nil)], b0),
        Rule(Gathering(axis: 0), [([5, 6], b1), ([2, 2], nil)], BatchFactor(axis: 2)),
        Rule(Gathering(axis: 1), [([6, 5], b0), ([6], b0)], nil),
        Rule(Gathering(axis: 0), [([6, 5], b0), ([6], nil)], nil),
        Rule(ElementGathering(axis: 1), [([6, 5], b0), ([6, 2], b0)], b0),
        Rule(ElementGathering(axis: 0), [([6, 5], b0), ([6, 5], b0)], nil),
        Rule(ElementGathering(axis: 1), [([6, 5], b0), ([2, 5], nil)], nil),
        Rule(TupleGathering(sharedAxes: 1), [([6, 5, 2], b0), ([6, 3, 1], b0)], b0),
        Rule(TupleGathering(), [([5, 4], nil), ([6, 2], b0)], b0),
        Rule(TupleGathering(), [([6, 5], b0), ([6, 2], b0)], nil),
        Rule(TupleGathering(), [([6, 5], b0), ([3, 1], nil)], nil),
        Rule(OneHotEncoding(axis: 0, depth: 4), [([6, 2], b0), ([2], nil)], b1),
        Rule(TopSelection(axis: 1, count: 2, takesLargest: true), [([6, 5], b0)], b0),
        Rule(TopSelection(axis: 0, count: 2, takesLargest: true), [([6, 5], b0)], nil),
    ]

    @Test(arguments: lookups)
    func lookup(_ rule: Rule) throws {
        // Indices come second, but first where they are encoded.
        let elementTypes: [ElementType] = rule.operation is OneHotEncoding ? [.int64] : [.float32, .int64]
        let result = try outputFactor(
            rule.operation, rule.shapes, rule.factors, batch: Self.batch, elementTypes: elementTypes)
        expect(result, rule)
    }

    /// x[arange(B), position]: constant coordinates that are the sample's own are no look at others, any other order is.
    @Test(arguments: [([0, 1, 2, 3, 4, 5], true), ([0, 1, 2, 3, 5, 4], false), ([0, 0, 0, 0, 0, 0], false)])
    func ownSamples(_ samples: [Int64], areOwn: Bool) throws {
        let data = BatchOperand(
            type: TensorType(.float32, [6, 5]), factor: Self.b0, constant: nil, batchSize: Self.batch)
        let rows = Constant(samples)
        let tuples = Constant(samples.flatMap { [$0, 3] }, shape: [6, 2])
        for (operation, indices) in [(Gathering(axis: 0), rows), (TupleGathering(), tuples)]
            as [(any Operation, Constant)]
        {
            let own = BatchOperand(type: indices.type, factor: nil, constant: indices, batchSize: Self.batch)
            let outputs = try operation.outputTypes(for: [data.type, indices.type])
            if areOwn {
                #expect(try operation.batchFactors([data, own], outputs: outputs)[0] == Self.b0)
            } else {
                #expect(throws: BatchMixing.self) { try operation.batchFactors([data, own], outputs: outputs) }
            }
        }
    }

    /// A constant that repeats itself sample by sample is the same for all of them.
    @Test(arguments: [([1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2], true), ([1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 3], false)])
    func uniformConstants(_ values: [Float], isUniform: Bool) throws {
        let data = BatchOperand(
            type: TensorType(.float32, [6, 2]), factor: Self.b0, constant: nil, batchSize: Self.batch)
        let constant = Constant(values, shape: [6, 2])
        let other = BatchOperand(type: constant.type, factor: nil, constant: constant, batchSize: Self.batch)
        for operation in [Binary(.add), Concatenation(axis: 1)] as [any Operation] {
            let outputs = try operation.outputTypes(for: [data.type, other.type])
            if isUniform {
                #expect(try operation.batchFactors([data, other], outputs: outputs)[0] == Self.b0)
            } else {
                #expect(throws: BatchMixing.self) { try operation.batchFactors([data, other], outputs: outputs) }
            }
        }
    }
}
