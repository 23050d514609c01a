import Operators
import TensorGraph
import TestSupport
import Testing

@Suite struct TransposedConvolutionTests {
    /// An operation with the shapes of its input and weight.
    struct Sizes: Sendable {
        var operation: TransposedConvolution
        var x: [Int]
        var w: [Int]
    }

    static let all: [Sizes] = [
        Sizes(
            operation: TransposedConvolution(
                ConvolutionGeometry(
                    groups: 1, strides: [2, 1], dilations: [1, 2], padsBegin: [1, 0], padsEnd: [0, 2]),
                outSpatial: [4, 6]), x: [2, 3, 2, 4], w: [3, 2, 2, 3]),
        Sizes(
            operation: TransposedConvolution(
                ConvolutionGeometry(groups: 2, strides: [3], dilations: [1], padsBegin: [1], padsEnd: [0]),
                outSpatial: [7]), x: [2, 4, 3], w: [4, 3, 2]),
        Sizes(
            operation: TransposedConvolution(
                ConvolutionGeometry(
                    groups: 1, strides: [1, 2, 1], dilations: [1, 1, 1], padsBegin: [0, 1, 0], padsEnd: [0, 0, 0]),
                outSpatial: [3, 3, 2]), x: [1, 2, 2, 2, 2], w: [2, 1, 2, 2, 1]),
    ]

    @Test(arguments: all)
    func definition(_ sizes: Sizes) throws {
        var numbers = Numbers(seed: 1)
        try checkDefinition(
            sizes.operation, [numbers.floats(sizes.x), numbers.floats(sizes.w)], gradients: [0, 1], tolerance: 2e-5)
    }

    static let sites: [SiteCase] = [
        SiteCase(
            name: "stride, dilation, pads", operation: all[0].operation, parameterShape: [3, 2, 2, 3],
            dataShape: { [$0, 3, 2, 4] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "groups", operation: all[1].operation, parameterShape: [4, 3, 2], dataShape: { [$0, 4, 3] },
            factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "one output channel per group",
            operation: TransposedConvolution(
                ConvolutionGeometry(groups: 3, strides: [2], dilations: [1], padsBegin: [0], padsEnd: [0]),
                outSpatial: [6]), parameterShape: [3, 1, 2], dataShape: { [$0, 3, 3] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "three dimensions", operation: all[2].operation, parameterShape: [2, 1, 2, 2, 1],
            dataShape: { [$0, 2, 2, 2, 2] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "several images of a sample", operation: all[1].operation, parameterShape: [4, 3, 2],
            dataShape: { [2 * $0 * 3, 4, 3] }, factor: BatchFactor(axis: 0, outer: 2, inner: 3)),
    ]

    @Test(arguments: sites, [1, 4])
    func perSampleRule(_ use: SiteCase, batch: Int) throws { try use.check(batch: batch, seed: 3) }

    @Test func batchRule() throws {
        let first = BatchFactor(axis: 0)
        let sizes = Self.all[1]
        #expect(try outputFactor(sizes.operation, [sizes.x, sizes.w], [first, nil], batch: 2) == .success(first))
        for factors: [BatchFactor?] in [[BatchFactor(axis: 1), nil], [BatchFactor(axis: 2), nil], [first, first]] {
            let shapes = [[4, 4, 3], sizes.w]
            #expect(throws: BatchMixing.self) {
                try outputFactor(sizes.operation, shapes, factors, batch: factors[0]!.axis == 2 ? 3 : 4).get()
            }
        }
    }

    // MARK: Attributes

    /// Ones convolved with ones: each entry counts the windows that reach it.
    private func counts(_ attributes: [String: AttributeValue], kernel: Int = 3) throws -> [Float] {
        let x = Constant([1, 1, 1] as [Float], shape: [1, 1, 3])
        let w = Constant([Float](repeating: 1, count: kernel), shape: [1, 1, kernel])
        return try runOperator("ConvTranspose", opset: 11, [x, w], attributes: attributes)[0].floatValues
    }

    @Test func outputSizes() throws {
        let stride: [String: AttributeValue] = ["strides": .ints([2])]
        func with(_ more: [String: AttributeValue]) -> [String: AttributeValue] { stride.merging(more) { $1 } }
        #expect(try counts([:]) == [1, 2, 3, 2, 1])
        #expect(try counts(stride) == [1, 1, 2, 1, 2, 1, 1])
        #expect(try counts(with(["pads": .ints([1, 2])])) == [1, 2, 1, 2])
        // An entry that no window reaches is zero; one that a pad had cut off is there again.
        #expect(try counts(with(["output_padding": .ints([1])])) == [1, 1, 2, 1, 2, 1, 1, 0])
        #expect(try counts(with(["output_padding": .ints([1]), "pads": .ints([1, 1])])) == [1, 2, 1, 2, 1, 1])
        #expect(
            try counts(with(["output_shape": .ints([6]), "auto_pad": .string("SAME_UPPER")])) == [1, 1, 2, 1, 2, 1])
        #expect(
            try counts(with(["output_shape": .ints([6]), "auto_pad": .string("SAME_LOWER")])) == [1, 2, 1, 2, 1, 1])
        #expect(try counts(with(["auto_pad": .string("SAME_UPPER")])) == [1, 1, 2, 1, 2, 1])
        #expect(try counts(with(["output_shape": .ints([9])])) == [1, 1, 2, 1, 2, 1, 1, 0, 0])
        // Dilation 3 lets output_padding reach beyond the stride.
        #expect(
            try counts(["dilations": .ints([3]), "output_padding": .ints([2])], kernel: 2)
                == [1, 1, 1, 1, 1, 1, 0, 0])
        #expect(throws: GraphError.self) { try counts(["pads": .ints([3, 3])]) }
    }

    /// The adjoint of cutting an image into blocks.
    @Test(arguments: [false, true])
    func columnsToImage(isBatched: Bool) throws {
        var numbers = Numbers(seed: 5)
        let example = OperatorCase(
            name: "", operatorType: "Col2Im", opset: 18,
            inputs: [
                numbers.floats([2, 2 * 6, 6]), Constant([3, 5] as [Int64]), Constant([2, 3] as [Int64]),
            ], attributes: ["strides": .ints([1, 1])], constants: [1, 2])
        if isBatched {
            try example.checkSamplesStayApart(example.batched(0), batchSize: 2)
        } else {
            try example.checkGradients(seed: 1)
        }
    }

    @Test func blocksThatDoNotCoverTheImage() {
        #expect(throws: GraphError.self) {
            try runOperator(
                "Col2Im", opset: 18,
                [
                    Constant([Float](repeating: 1, count: 20), shape: [1, 4, 5]), Constant([3, 3] as [Int64]),
                    Constant([2, 2] as [Int64]),
                ], constants: [1, 2])
        }
    }
}
