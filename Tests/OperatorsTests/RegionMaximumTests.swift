import Kernels
import Operators
import TensorGraph
import TestSupport
import Testing

/// Maxima over the bins of regions, by the definition: one loop over the entries of each bin.
@Suite struct RegionMaximumTests {
    private static let shape = [2, 3, 6, 5]
    private static let image: Constant = {
        var numbers = Numbers(seed: 3)
        return numbers.floats(shape)
    }()
    /// Within the image, a single point, beyond its edges, halves that are rounded, and outside of it.
    private static let regions = Constant(
        [0, 0, 0, 4, 5, 1, 2, 3, 2, 3, 1, -3, 2, 9, 11, 0, 0.5, 1.5, 2.5, 4.5, 1, 20, 20, 24, 24] as [Float],
        shape: [5, 5])

    private static func example(_ regions: Constant, scale: Float = 1, constants: Set<Int> = [1]) -> OperatorCase {
        OperatorCase(
            name: "regions", operatorType: "MaxRoiPool", opset: 22, inputs: [image, regions],
            attributes: ["pooled_shape": .ints([2, 3]), "spatial_scale": .float(scale)], constants: constants)
    }

    private static func bin(_ index: Int, of count: Int, from start: Float, through end: Float) -> Range<Int> {
        let width: Float = max(end - start + 1, 1) / Float(count)
        let low: Float = (Float(index) * width).rounded(.down)
        let high: Float = (Float(index + 1) * width).rounded(.up)
        return Int(start + low)..<Int(start + high)
    }

    @Test(arguments: [1, 0.5] as [Float]) func definition(scale: Float) throws {
        var (builder, _, outputs) = try Self.example(Self.regions, scale: scale, constants: []).expand()
        builder.addOutput("y", outputs[0])
        let results = evaluate(builder.finish(), inputs: ["0": Self.image, "1": Self.regions])["y"]!
        let (x, r) = (Self.image.floatValues, Self.regions.floatValues)
        var expected: [Float] = []
        for region in 0..<5 {
            let edges = (1..<5).map { (r[5 * region + $0] * scale).rounded(.toNearestOrAwayFromZero) }
            for channel in 0..<3 {
                let plane = (Int(r[5 * region]) * 3 + channel) * 30
                for row in 0..<2 {
                    let rows = Self.bin(row, of: 2, from: edges[1], through: edges[3]).clamped(to: 0..<6)
                    for column in 0..<3 {
                        let columns = Self.bin(column, of: 3, from: edges[0], through: edges[2]).clamped(to: 0..<5)
                        let values = rows.flatMap { h in columns.map { w in x[plane + h * 5 + w] } }
                        expected.append(values.max() ?? 0)
                    }
                }
            }
        }
        #expect(results.type.shape == [5, 3, 2, 3])
        #expect(results.floatValues == expected)
    }

    @Test func gradients() throws { try Self.example(Self.regions).checkGradients(seed: 5) }

    /// One region for each sample's image.
    @Test func samplesStayApart() throws {
        let own = Constant([0, 0, 0, 3, 4, 1, 0, 0, 3, 4] as [Float], shape: [2, 5])
        let whole = try Self.example(own).expand(
            batchSize: 2, batch: [BatchFactor(axis: 0), nil], evaluator: ConstantFolding.evaluator)
        #expect(whole.builder.graph[whole.outputs[0]].batch == .factor(BatchFactor(axis: 0)))
    }

    @Test func regionsOfOtherSamplesMeet() throws {
        try Self.example(Self.regions).checkSamplesMeet([BatchFactor(axis: 0), nil], batchSize: 2)
    }
}
