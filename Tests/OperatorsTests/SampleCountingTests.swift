import Kernels
import ONNXFormat
import Operators
import TensorGraph
import Testing

/// Lookups of a sample's own entries by indices that count the samples, as `x[arange(B), chosen]` is exported.
@Suite struct SampleCountingTests {
    private static let batch = 3
    private static let rows = 4

    /// Entries of x [3, 4, 2] at `chosen` [3]; x is 0, 1, 2, ... in row-major order.
    private func picked(
        _ chosen: [Int64], _ lookup: (inout GraphBuilder, _ x: ValueID, _ chosen: ValueID) throws -> ValueID
    ) throws -> (state: BatchState, values: [Float]) {
        var builder = GraphBuilder(batchSize: Self.batch, evaluator: ConstantFolding.evaluator)
        let shape = [Self.batch, Self.rows, 2]
        let x = builder.addInput("x", TensorType(.float32, shape), batch: BatchFactor(axis: 0))
        let index = builder.addInput("i", TensorType(.int64, [Self.batch]), batch: BatchFactor(axis: 0))
        let y = try lookup(&builder, x, index)
        builder.addOutput("y", y)
        let numbers = (0..<shape.reduce(1, *)).map { Float($0) }
        let results = evaluate(
            builder.finish(), inputs: ["x": Constant(numbers, shape: shape), "i": Constant(chosen)])
        return (builder.graph[y].batch, results["y"]!.floatValues)
    }

    /// TorchScript's way: rows of all samples below each other, at number of the sample times `stride` plus own index.
    private static func flat(stride: Int64) -> (inout GraphBuilder, ValueID, ValueID) throws -> ValueID {
        { builder, x, chosen in
            let starts = builder.addConstant(Constant((0..<Int64(batch)).map { $0 * stride }))
            let index = try builder.emit(Binary(.add), chosen, starts)
            return try builder.emit(Gathering(axis: 0), builder.view(x, [batch * rows, 2]), index)
        }
    }

    /// Dynamo's way: pairs of the sample's number and its own index.
    private static func tuples(_ numbers: [Int64]) -> (inout GraphBuilder, ValueID, ValueID) throws -> ValueID {
        { builder, x, chosen in
            let samples = builder.addConstant(Constant(numbers, shape: [batch, 1]))
            let pairs = try builder.concatenate([samples, builder.view(chosen, [batch, 1])], axis: 1)
            return try builder.emit(TupleGathering(), x, pairs)
        }
    }

    @Test func ownEntriesStayApart() throws {
        for lookup in [Self.flat(stride: 4), Self.tuples([0, 1, 2])] {
            let result = try picked([2, 0, 3], lookup)
            #expect(result.state == .factor(BatchFactor(axis: 0)))
            #expect(result.values == [4, 5, 8, 9, 22, 23])
        }
    }

    /// Row 4 of sample 0 would be row 0 of sample 1, and row -1 of sample 1 the last one of sample 0.
    @Test func nobodyReadsTheNeighboursRows() throws {
        let result = try picked([4, -1, 1], Self.flat(stride: 4))
        #expect(result.state == .factor(BatchFactor(axis: 0)))
        #expect(result.values[..<4].allSatisfy { $0.isNaN })
        #expect(result.values[4...] == [18, 19])
        let wrapped = try picked([-1, 0, 1], Self.tuples([0, 1, 2]))
        #expect(wrapped.values[..<2] == [6, 7])
    }

    @Test func othersEntriesAreRefused() throws {
        for lookup in [
            Self.flat(stride: 3), Self.flat(stride: 8), Self.flat(stride: 0), Self.tuples([1, 2, 0]),
            Self.tuples([0, 0, 0]), Self.tuples([2, 1, 0]),
        ] {
            let result = try picked([0, 0, 0], lookup)
            #expect(result.state == BatchState.mixed)
        }
    }

    /// Indices that count samples are no values of a sample.
    @Test func countingItselfMixes() throws {
        let result = try picked([0, 0, 0]) { builder, x, chosen in
            let numbers = builder.addConstant(Constant([0, 1, 2] as [Int64]))
            let index = try builder.emit(Binary(.add), chosen, numbers)
            let value = try builder.emit(Convert(to: .float32), index)
            return try builder.emit(Binary(.mul), x, builder.view(value, [Self.batch, 1, 1]))
        }
        #expect(result.state == BatchState.mixed)
    }
}
