import Kernels
import TensorGraph
import TestSupport
import Testing

@testable import Operators

/// What is computed alike from equal entries has equal entries, and the first of them is computed from the first alone.
@Suite struct EqualEntriesTests {
    /// Emits `operation` on `copies` equal [3, 4] and on [2, 3, 4] of different ones, and takes the first axis' first entry.
    private func check(_ operation: some Operation, from equal: Bool) throws -> (value: [Double], first: [Double])? {
        var numbers = Numbers(seed: 73)
        var builder = GraphBuilder(batchSize: 2, evaluator: ConstantFolding.evaluator)
        let shape = equal ? [1, 3, 4] : [2, 3, 4]
        let x = builder.addParameter("x", TensorType(.float32, shape))
        let copies = equal ? try builder.broadcast(x, to: [2, 3, 4]) : x
        let value = try builder.emitAll(operation, [copies])[0]
        guard let first = try builder.collapsed(value, axis: 0) else { return nil }
        #expect(builder.shape(of: first) == [1] + builder.shape(of: value).dropFirst())
        builder.addOutput("value", value)
        builder.addOutput("first", first)
        let result = evaluate(builder.finish(), inputs: [:], parameters: ["x": numbers.floats(shape)])
        let half = result["value"]!.doubles.count / 2
        return (Array(result["value"]!.doubles[..<half]), result["first"]!.doubles)
    }

    static let operations: [any Operation] = [
        Softmax(.softmax, axis: 2), Reduction(.mean, axes: [1], keepsAxes: false),
        Reduction(.max, axes: [2], keepsAxes: true), RowNormalization(axis: 2, isCentered: true, epsilon: 1e-5),
    ]

    @Test(arguments: operations.indices) func ofOneResult(_ index: Int) throws {
        let found = try #require(try check(Self.operations[index], from: true))
        #expect(found.value == found.first)
        #expect(try check(Self.operations[index], from: false) == nil)
    }

    /// Along the axis that an operation works on, its entries are not what they would be with one.
    @Test func notAlongTheAxisItself() throws {
        #expect(try check(Softmax(.softmax, axis: 0), from: true) == nil)
        #expect(try check(RowNormalization(axis: 0, isCentered: true, epsilon: 1e-5), from: true) == nil)
    }
}
