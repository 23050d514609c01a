import Kernels
import Operators
import TensorGraph
import TestSupport
import Testing

@testable import Execution

@Suite struct RecomputationTests {
    private let pool = ThreadPool(threads: 1)

    /// Memory goes down as far as it can, and results stay the same, bit for bit.
    @Test(arguments: 0..<150 as Range<UInt64>)
    func randomGraphs(_ seed: UInt64) throws {
        let random = try RandomGraph(seed: seed, nodes: 60)
        let kept = try Plan(random.graph, parameters: ParameterMemory(random.parameters), pool: pool)
        for limit in [0, kept.peakBytes * 9 / 10, kept.peakBytes] {
            let lean = try Recomputation(random.graph, within: limit, sums: [], pool: pool)
            try lean.graph.checkWellFormed()
            let plan = try Plan(lean.graph, parameters: ParameterMemory(random.parameters), pool: pool)
            #expect(lean.arenaBytes == plan.peakBytes && lean.arenaBytes <= kept.peakBytes)
            #expect((lean.copyCount > 0) == (lean.arenaBytes < kept.peakBytes))
            let expected = kept.run(random.inputs)
            for (name, value) in plan.run(random.inputs) {
                #expect(value.isIdentical(to: expected[name]!), "\(name)\n\(lean.graph.dump)")
            }
        }
    }

    /// A value of 16 KiB waits while a sum over an outer product of 64 KiB is computed.
    private func waiting(_ value: (inout GraphBuilder, ValueID) throws -> ValueID, isOutput: Bool = false) throws
        -> Graph
    {
        var builder = GraphBuilder(batchSize: 1, evaluator: ConstantFolding.evaluator)
        let x = builder.addInput("x", TensorType(.float32, [1, 64]), batch: nil)
        let column = builder.addInput("column", TensorType(.float32, [64, 1]), batch: nil)
        let value = try value(&builder, try builder.multiply(column, x))
        if isOutput { builder.addOutput("value", value) }
        let y = builder.addInput("y", TensorType(.float32, [4, 64, 64]), batch: nil)
        let sum = try builder.sum(try builder.unary(.sigmoid, try builder.multiply(y, y)), axes: [0])
        builder.addOutput("result", try builder.multiply(sum, try builder.view(value, [64, 64])))
        return builder.finish()
    }

    @Test func whatWaitsIsComputedAnewFromItsSources() throws {
        let graph = try waiting { try $0.unary(.tanh, $1) }
        let lean = try Recomputation(graph, within: 0, sums: [], pool: pool)
        let before = try Plan.predictedBytes(graph, pool: pool)
        #expect(lean.copyCount == 2, "the product with its column, and its tangent")
        #expect(before - lean.arenaBytes == (16 << 10) - 512, "its sources wait in its place")
        #expect(try Recomputation(graph, within: before, sums: [], pool: pool).copyCount == 0)
    }

    /// A second draw would be another value, and what is read after the run has to stay.
    @Test func randomValuesAndOutputsAreKept() throws {
        let random = try waiting { builder, x in
            let uniform = RandomValues(.uniform(low: 0, high: 1), shape: [64, 64], seed: nil, node: "noise")
            return try builder.emitAll(uniform, [])[0]
        }
        #expect(try Recomputation(random, within: 0, sums: [], pool: pool).copyCount == 0)
        let output = try waiting({ try $0.unary(.tanh, $1) }, isOutput: true)
        #expect(try Recomputation(output, within: 0, sums: [], pool: pool).copyCount == 0)
    }
}
