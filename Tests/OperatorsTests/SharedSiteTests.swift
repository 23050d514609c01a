import Operators
import TensorGraph
import TestSupport
import Testing

/// Uses of one parameter at several places, against sums of the uses' own gradients in double precision.
struct SharedSiteTests {
    private let batch = 3

    private struct Use {
        var x: Constant
        var g: Constant
        var isTransposed = false
    }

    /// G_i of [d,p] = x_i^T g_i, or its transpose, by the definition.
    private func gradients(_ use: Use) -> [[Double]] {
        let (T, d, p) = (use.x.type.shape[1], use.x.type.shape[2], use.g.type.shape[2])
        let (x, g) = (use.x.doubles, use.g.doubles)
        return (0..<batch).map { sample in
            var result = [Double](repeating: 0, count: d * p)
            for t in sample * T..<(sample + 1) * T {
                for row in 0..<d {
                    for column in 0..<p {
                        let place = use.isTransposed ? column * d + row : row * p + column
                        result[place] += x[t * d + row] * g[t * p + column]
                    }
                }
            }
            return result
        }
    }

    private func tableGradients(_ indices: Constant, _ g: Constant, rows: Int) -> [[Double]] {
        let (T, D) = (indices.type.shape[1], g.type.shape[2])
        return (0..<batch).map { sample in
            var result = [Double](repeating: 0, count: rows * D)
            for t in sample * T..<(sample + 1) * T {
                for column in 0..<D {
                    result[Int(indices.int64Values[t]) * D + column] += g.doubles[t * D + column]
                }
            }
            return result
        }
    }

    private func newBuilder() -> GraphBuilder { GraphBuilder(batchSize: batch, evaluator: { _, _, _ in nil }) }

    private func site(_ use: Use, _ name: String, shape: [Int], _ builder: inout GraphBuilder) -> LinearSite {
        let x = builder.addInput("x" + name, use.x.type, batch: BatchFactor(axis: 0))
        let g = builder.addInput("g" + name, use.g.type, batch: BatchFactor(axis: 0))
        return LinearSite(x: x, g: g, isTransposed: use.isTransposed, gradientShape: shape, in: builder)
    }

    @Test func usesOfOneMatrixInBothOrientationsMerge() throws {
        var numbers = Numbers(seed: 1)
        let uses = [
            Use(x: numbers.floats([batch, 4, 3]), g: numbers.floats([batch, 4, 5])),
            Use(x: numbers.floats([batch, 1, 5]), g: numbers.floats([batch, 1, 3]), isTransposed: true),
            Use(x: numbers.floats([batch, 2, 3]), g: numbers.floats([batch, 2, 5])),
        ]
        var builder = newBuilder()
        builder.followsBatch = false
        let sites = uses.enumerated().map { site($1, "\($0)", shape: [3, 5], &builder) }
        let merged = try #require(try sites[0].merged(with: Array(sites.dropFirst()), in: &builder))
        builder.addOutput("norms", try #require(try merged.ghostNorms(in: &builder)))
        builder.addOutput("cross", try #require(try sites[0].innerProducts(with: sites[1], in: &builder)))
        var inputs: [String: Constant] = [:]
        for (index, use) in uses.enumerated() { (inputs["x\(index)"], inputs["g\(index)"]) = (use.x, use.g) }
        let results = evaluate(builder.finish(), inputs: inputs)
        let each = uses.map(gradients)
        let norms = (0..<batch).map { sample in
            let sum = (0..<15).map { place in each.reduce(0) { $0 + $1[sample][place] } }
            return dot(sum, sum)
        }
        #expect(agree(results["norms"]!.doubles, norms))
        #expect(agree(results["cross"]!.doubles, (0..<batch).map { dot(each[0][$0], each[1][$0]) }))
    }

    @Test(arguments: [false, true])
    func tableTiedToTheHead(isTransposed: Bool) throws {
        var numbers = Numbers(seed: 2)
        let (rows, D) = (4, 3)
        // Six reads of four rows: every sample reads some token twice.
        let indices = numbers.integers([batch, 6], below: rows)
        let g = numbers.floats([batch, 6, D])
        let h = numbers.floats([batch, 5, D])
        let logits = numbers.floats([batch, 5, rows])
        let head = isTransposed ? Use(x: h, g: logits, isTransposed: true) : Use(x: logits, g: h)
        var builder = newBuilder()
        builder.followsBatch = false
        let linear = site(head, "", shape: [rows, D], &builder)
        let table = EmbeddingSite(
            indices: builder.addInput("indices", indices.type, batch: nil),
            gradients: builder.addInput("g2", g.type, batch: nil), tableShape: [rows, D], in: builder)
        #expect(try linear.merged(with: [table], in: &builder) == nil)
        builder.addOutput("cross", try #require(try table.innerProducts(with: linear, in: &builder)))
        builder.addOutput("reversed", try #require(try linear.innerProducts(with: table, in: &builder)))
        let both = try #require(try table.merged(with: [table], in: &builder))
        builder.addOutput("twice", try #require(try both.ghostNorms(in: &builder)))
        let results = evaluate(
            builder.finish(), inputs: ["x": head.x, "g": head.g, "indices": indices, "g2": g])
        let reads = tableGradients(indices, g, rows: rows)
        let projection = gradients(head)
        let expected = (0..<batch).map { dot(reads[$0], projection[$0]) }
        #expect(agree(results["cross"]!.doubles, expected))
        #expect(agree(results["reversed"]!.doubles, expected))
        #expect(agree(results["twice"]!.doubles, reads.map { 4 * dot($0, $0) }))
    }

    @Test func sitesOfOtherShapesDoNotMerge() throws {
        var numbers = Numbers(seed: 3)
        var builder = newBuilder()
        let a = site(
            Use(x: numbers.floats([batch, 1, 3]), g: numbers.floats([batch, 1, 4])), "a", shape: [3, 4], &builder)
        let b = site(
            Use(x: numbers.floats([batch, 1, 4]), g: numbers.floats([batch, 1, 3])), "b", shape: [4, 3], &builder)
        #expect(try a.merged(with: [b], in: &builder) == nil)
        #expect(try a.innerProducts(with: b, in: &builder) == nil)
    }

    /// A weight [4, 6] = P seen as [6, 4], as [2, 2, 6] -> [6, 2, 2], and through a view.
    @Test func pulledBackThroughMoves() throws {
        var numbers = Numbers(seed: 4)
        let use = Use(x: numbers.floats([batch, 2, 6]), g: numbers.floats([batch, 2, 4]))
        let expected = gradients(Use(x: use.x, g: use.g, isTransposed: true)).flatMap { $0 }
        var builder = newBuilder()
        builder.followsBatch = false
        let seen = site(use, "", shape: [6, 4], &builder)
        let flipped = try #require(
            try seen.pulledBack(through: Transposition(permutation: [1, 0]), inputShape: [4, 6], in: &builder))
        let viewed = try #require(
            try seen.pulledBack(through: View(shape: [6, 4]), inputShape: [6, 2, 2], in: &builder))
        let blocks = try #require(
            try viewed.pulledBack(through: Transposition(permutation: [2, 0, 1]), inputShape: [2, 2, 6], in: &builder))
        #expect(
            try viewed.pulledBack(through: Transposition(permutation: [1, 0, 2]), inputShape: [2, 6, 2], in: &builder)
                == nil)
        let instantiated = PerSampleSite(
            gradients: try seen.perSampleGradients(in: &builder), shape: [6, 4], rule: "linear")
        let moved = try #require(
            try instantiated.pulledBack(through: Transposition(permutation: [1, 0]), inputShape: [4, 6], in: &builder))
        for (name, site) in [("flipped", flipped), ("blocks", blocks), ("moved", moved)] {
            builder.addOutput(name, try site.perSampleGradients(in: &builder))
        }
        let results = evaluate(builder.finish(), inputs: ["x": use.x, "g": use.g])
        for (name, shape) in [("flipped", [4, 6]), ("blocks", [2, 2, 6]), ("moved", [4, 6])] {
            #expect(results[name]!.type.shape == [batch] + shape)
            #expect(agree(results[name]!.doubles, expected), "\(name)")
        }
    }
}
