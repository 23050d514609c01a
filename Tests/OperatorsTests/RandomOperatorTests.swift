import TensorGraph
import TestSupport
import Testing

@testable import Operators

@Suite struct RandomOperatorTests {
    private func normal(_ count: Int, seed: UInt64?, node: String = "a") -> RandomValues {
        RandomValues(.normal(mean: 2, scale: 3), shape: [count], seed: seed, node: node)
    }

    @Test func momentsOfNormals() throws {
        let values = try run(normal(20_000, seed: 1), [])[0].doubles
        let mean = values.reduce(0, +) / 20_000
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 20_000
        #expect((mean - 2).magnitude < 0.1 && (variance - 9).magnitude < 0.4)
    }

    @Test func uniformsFillTheirRange() throws {
        let values = try run(RandomValues(.uniform(low: -1, high: 3), shape: [10_000], seed: 2, node: "a"), [])[0]
            .doubles
        #expect(values.allSatisfy { -1..<3 ~= $0 })
        #expect((values.reduce(0, +) / 10_000 - 1).magnitude < 0.05)
    }

    @Test func frequencies() throws {
        let p = Constant([Float](repeating: 0.25, count: 10_000) + [0, 1])
        let draws = try run(RandomValues(.bernoulli, shape: [10_002], seed: 3, node: "a"), [p])[0].doubles
        #expect((draws.dropLast(2).reduce(0, +) / 10_000 - 0.25).magnitude < 0.02)
        #expect(draws.suffix(2) == [0, 1])
        let logits = Constant([0, 1.0986123, -.infinity] as [Float], shape: [1, 3])
        let classes = try run(
            RandomValues(.classes(count: 10_000), shape: [1, 10_000], seed: 4, node: "a"), [logits])[0].int64Values
        #expect((Double(classes.count { $0 == 1 }) / 10_000 - 0.75).magnitude < 0.02)
        #expect(!classes.contains(2))
    }

    @Test func seedsRepeatAndNothingElseDoes() throws {
        #expect(try run(normal(8, seed: 5), [])[0].floatValues == run(normal(8, seed: 5), [])[0].floatValues)
        #expect(try run(normal(8, seed: nil), [])[0].floatValues != run(normal(8, seed: nil), [])[0].floatValues)
    }

    /// Two nodes that are otherwise equal draw twice, and none is folded into a constant.
    @Test func nodesDrawForThemselves() throws {
        var builder = GraphBuilder(batchSize: 1, evaluator: ConstantFolding.evaluator)
        let first = try builder.emit(normal(4, seed: nil, node: "a"))
        let second = try builder.emit(normal(4, seed: nil, node: "b"))
        #expect(first != second)
        #expect(builder.constant(first) == nil)
    }

    /// Noise like a batched tensor is each sample's own; noise of the size of a batch without samples is not known to be.
    @Test func samples() throws {
        let first = BatchFactor(axis: 0)
        let like = RandomValues(.normal(mean: 0, scale: 1), shape: [4, 2], seed: nil, node: "a")
        #expect(try outputFactor(like, [[4, 2]], [first], batch: 4) == .success(first))
        let draw = RandomValues(.classes(count: 3), shape: [4, 3], seed: nil, node: "a")
        #expect(try outputFactor(draw, [[4, 2]], [first], batch: 4) == .success(first))
        #expect(throws: BatchMixing.self) { try outputFactor(draw, [[4, 2]], [BatchFactor(axis: 1)], batch: 2).get() }
        var builder = GraphBuilder(batchSize: 4, evaluator: ConstantFolding.evaluator)
        let x = builder.addInput("x", TensorType(.float32, [4, 2]), batch: first)
        let sum = try builder.add(x, try builder.emit(like))
        #expect(builder.graph[sum].batch == .mixed)
    }

    @Test func operators() throws {
        let normals = try runOperator("RandomNormal", opset: 1, [], attributes: ["shape": .ints([2, 3])])[0]
        #expect(normals.type == TensorType(.float32, [2, 3]))
        let x = Constant([1, 0] as [Float])
        #expect(try runOperator("Bernoulli", opset: 15, [x])[0].floatValues == [1, 0])
        let uniform = try runOperator(
            "RandomUniformLike", opset: 22, [x], attributes: ["low": .float(5), "high": .float(6)])[0].floatValues
        #expect(uniform.allSatisfy { 5..<6 ~= $0 })
        #expect(throws: GraphError.self) { try runOperator("RandomNormal", opset: 1, []) }
    }
}
