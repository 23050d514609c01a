import Kernels
import Operators
import TensorGraph
import TestSupport
import Testing

/// Parameters that are operands of elementwise operations: per-sample gradients against one sample at a time in double
/// precision.
@Suite struct OperandSiteTests {
    /// Where the samples lie, and parameters that broadcast to the data.
    struct Place: Sendable, CustomTestStringConvertible {
        var name: String
        var dataShape: @Sendable (Int) -> [Int]
        var factor: BatchFactor
        var parameterShapes: [[Int]]

        var testDescription: String { name }
    }

    static let places: [Place] = [
        Place(
            name: "[B, T, D]", dataShape: { [$0, 3, 2] }, factor: BatchFactor(axis: 0),
            parameterShapes: [[2], [1], [], [3, 1], [3, 2], [1, 1, 2]]),
        Place(
            name: "[T, B, D]", dataShape: { [3, $0, 2] }, factor: BatchFactor(axis: 1),
            parameterShapes: [[2], [3, 1, 2], [3, 1, 1], [1]]),
        Place(
            name: "rows of (2, B, 3)", dataShape: { [2 * $0 * 3, 2] }, factor: BatchFactor(axis: 0, outer: 2, inner: 3),
            parameterShapes: [[2], [1, 2], [1]]),
        Place(
            name: "channels of (B, 2)", dataShape: { [1, $0 * 2, 3] }, factor: BatchFactor(axis: 1, inner: 2),
            parameterShapes: [[3], [1, 1, 1]]),
        Place(
            name: "a parameter of higher rank", dataShape: { [$0, 3] }, factor: BatchFactor(axis: 0),
            parameterShapes: [[2, 1, 3], [2, 1, 1]]),
        Place(
            name: "data that broadcast too", dataShape: { [$0, 1, 2] }, factor: BatchFactor(axis: 0),
            parameterShapes: [[3, 1], [3, 2]]),
    ]

    static let functions: [BinaryFunction] = [.add, .sub, .mul, .div, .pow, .min, .max]

    @Test(arguments: places, functions)
    func binary(_ place: Place, _ function: BinaryFunction) throws {
        for shape in place.parameterShapes {
            for index in 0..<2 {
                let use = SiteCase(
                    name: "\(function) of \(shape) at \(index)", operation: Binary(function), parameterShape: shape,
                    parameterIndex: index, dataShape: place.dataShape, factor: place.factor,
                    isPositive: function == .div || function == .pow)
                for batch in [1, 4] { try use.check(batch: batch, seed: 61) }
            }
        }
    }

    @Test(arguments: places)
    func selected(_ place: Place) throws {
        for shape in place.parameterShapes {
            for index in 1..<3 {
                // Written so that a sample of NaN selects the parameter in both cases.
                let use = SiteCase(
                    name: "select \(shape) at \(index)", operation: Select(), parameterShape: shape,
                    parameterIndex: index, dataShape: place.dataShape, factor: place.factor
                ) { builder, data throws(GraphError) in
                    let isPositive = try builder.compare(.greater, data, builder.scalar(0))
                    return index == 2 ? isPositive : try builder.emit(Not(), isPositive)
                }
                for batch in [1, 4] { try use.check(batch: batch, seed: 62) }
            }
        }
    }

    /// The slope of PRelu, one per channel.
    @Test(arguments: [1, 4])
    func slopes(batch: Int) throws {
        let use = SiteCase(
            name: "PRelu", operation: Binary(.prelu), parameterShape: [3, 1], dataShape: { [$0, 3, 4] },
            factor: BatchFactor(axis: 0))
        try use.check(batch: batch, seed: 63)
    }

    /// Token tables, with negative indices and tokens that a sample reads several times.
    @Test(arguments: [1, 4])
    func tables(batch: Int) throws {
        for shape in [[5, 3], [5], [5, 2, 2]] {
            let use = SiteCase(
                name: "table \(shape)", operation: Gathering(axis: 0), parameterShape: shape, parameterIndex: 0,
                dataShape: { [$0, 7] }, factor: BatchFactor(axis: 0), indexBound: 5)
            try use.check(batch: batch, seed: 64)
        }
        let flat = SiteCase(
            name: "tokens (2, B, 3)", operation: Gathering(axis: 0), parameterShape: [4, 2], parameterIndex: 0,
            dataShape: { [2 * $0 * 3] }, factor: BatchFactor(axis: 0, outer: 2, inner: 3), indexBound: 4)
        try flat.check(batch: batch, seed: 65)
    }

    /// A table that is read along another axis has no rule, and says so.
    @Test func otherAxesOfTablesAreRefused() {
        let use = SiteCase(
            name: "axis 1", operation: Gathering(axis: 1), parameterShape: [4, 3], parameterIndex: 0,
            dataShape: { [$0, 2] }, factor: BatchFactor(axis: 0), indexBound: 3)
        #expect(throws: GraphError.self) { _ = try use.siteGraph(batch: 2) { _, _ in } }
    }
}
