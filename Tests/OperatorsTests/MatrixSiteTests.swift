import Operators
import TensorGraph
import Testing

struct MatrixSiteTests {
    static let products: [SiteCase] = [
        SiteCase(
            name: "dense layer, one position", operation: MatrixProduct(), parameterShape: [3, 4],
            dataShape: { [$0, 3] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "dense layer, weight stored [p, d]", operation: MatrixProduct(transposesRight: true),
            parameterShape: [4, 3], dataShape: { [$0, 3] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "both stored transposed", operation: MatrixProduct(transposesLeft: true, transposesRight: true),
            parameterShape: [4, 3], dataShape: { [3, $0] }, factor: BatchFactor(axis: 1)),
        SiteCase(
            name: "sequence [B, T, d]", operation: MatrixProduct(), parameterShape: [3, 4], dataShape: { [$0, 5, 3] },
            factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "T-major sequence [T, B, d]", operation: MatrixProduct(), parameterShape: [3, 4],
            dataShape: { [5, $0, 3] }, factor: BatchFactor(axis: 1)),
        SiteCase(
            name: "flattened rows, T outside", operation: MatrixProduct(transposesRight: true), parameterShape: [4, 3],
            dataShape: { [2 * $0 * 3, 3] }, factor: BatchFactor(axis: 0, outer: 2, inner: 3)),
        SiteCase(
            name: "weight [1, 1, d, p]", operation: MatrixProduct(), parameterShape: [1, 1, 3, 4],
            dataShape: { [$0, 5, 3] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "weight on the left", operation: MatrixProduct(), parameterShape: [4, 3], parameterIndex: 0,
            dataShape: { [$0, 3, 5] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "weight on the left, stored [d, p]", operation: MatrixProduct(transposesLeft: true),
            parameterShape: [3, 4], parameterIndex: 0, dataShape: { [2, 3, $0 * 2] },
            factor: BatchFactor(axis: 2, inner: 2)),
        SiteCase(
            name: "weight on the left, data stored transposed", operation: MatrixProduct(transposesRight: true),
            parameterShape: [4, 3], parameterIndex: 0, dataShape: { [$0, 5, 3] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "one matrix per head", operation: MatrixProduct(), parameterShape: [2, 3, 4],
            dataShape: { [$0, 2, 5, 3] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "one matrix per head, heads not in the data", operation: MatrixProduct(transposesRight: true),
            parameterShape: [2, 4, 3], dataShape: { [$0, 1, 5, 3] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "one matrix per expert, samples on rows", operation: MatrixProduct(), parameterShape: [2, 3, 4],
            dataShape: { [3 * $0, 3] }, factor: BatchFactor(axis: 0, outer: 3)),
        SiteCase(
            name: "one matrix per head on the left", operation: MatrixProduct(transposesLeft: true),
            parameterShape: [2, 3, 4], parameterIndex: 0, dataShape: { [$0, 2, 3, 5] }, factor: BatchFactor(axis: 0)),
    ]

    @Test(arguments: products, [1, 4])
    func matchesDefinition(_ use: SiteCase, batch: Int) throws { try use.check(batch: batch, seed: 7) }

    @Test func matrixPerHeadIsTheOnlyInstantiatedSite() throws {
        for use in Self.products {
            _ = try use.siteGraph(batch: 2) { _, site in
                #expect((site is LinearSite) == (use.parameterShape.dropLast(2).elementCount == 1))
            }
        }
    }

    static let convolutions: [SiteCase] = [
        SiteCase(
            name: "two dimensions, asymmetric pads, stride, dilation",
            operation: Convolution(
                ConvolutionGeometry(
                    groups: 1, strides: [2, 1], dilations: [1, 2], padsBegin: [1, 0], padsEnd: [0, 2])),
            parameterShape: [3, 2, 2, 3], dataShape: { [$0, 2, 5, 6] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "groups",
            operation: Convolution(
                ConvolutionGeometry(
                    groups: 2, strides: [1, 1], dilations: [1, 1], padsBegin: [1, 1], padsEnd: [1, 1])),
            parameterShape: [4, 2, 3, 3], dataShape: { [$0, 4, 4, 4] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "depthwise",
            operation: Convolution(
                ConvolutionGeometry(groups: 3, strides: [1], dilations: [1], padsBegin: [1], padsEnd: [1])),
            parameterShape: [6, 1, 3], dataShape: { [$0, 3, 7] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "three dimensions",
            operation: Convolution(
                ConvolutionGeometry(
                    groups: 1, strides: [1, 1, 2], dilations: [1, 1, 1], padsBegin: [0, 1, 0], padsEnd: [0, 1, 0])),
            parameterShape: [2, 2, 2, 2, 2], dataShape: { [$0, 2, 3, 3, 4] }, factor: BatchFactor(axis: 0)),
        SiteCase(
            name: "several images per sample",
            operation: Convolution(
                ConvolutionGeometry(groups: 1, strides: [1], dilations: [1], padsBegin: [0], padsEnd: [0])),
            parameterShape: [2, 3, 2], dataShape: { [2 * $0 * 3, 3, 4] },
            factor: BatchFactor(axis: 0, outer: 2, inner: 3)),
    ]

    @Test(arguments: convolutions, [1, 4])
    func convolutionMatchesDefinition(_ use: SiteCase, batch: Int) throws { try use.check(batch: batch, seed: 8) }

    static let tables: [SiteCase] = [
        SiteCase(
            name: "tokens [B, T]", operation: Gathering(axis: 0), parameterShape: [4, 3], parameterIndex: 0,
            dataShape: { [$0, 6] }, factor: BatchFactor(axis: 0), indexBound: 4),
        SiteCase(
            name: "tokens [T, B]", operation: Gathering(axis: 0), parameterShape: [4, 3], parameterIndex: 0,
            dataShape: { [6, $0] }, factor: BatchFactor(axis: 1), indexBound: 4),
        SiteCase(
            name: "one index per sample", operation: Gathering(axis: 0), parameterShape: [4, 3], parameterIndex: 0,
            dataShape: { [$0] }, factor: BatchFactor(axis: 0), indexBound: 4),
    ]

    @Test(arguments: tables, [1, 4])
    func tableMatchesDefinition(_ use: SiteCase, batch: Int) throws { try use.check(batch: batch, seed: 9) }
}
