import Kernels
import TensorGraph
import TestSupport
import Testing

@testable import Operators

/// Functions that a model spells out become one node that computes the same numbers.
@Suite struct RecognitionTests {
    typealias Spelling = @Sendable (inout GraphBuilder, ValueID) throws -> ValueID

    /// The operations of a spelled-out function of a [3, 2, 6] input, and what they become; its numbers are compared with
    /// those of the spelling in double precision.
    private func recognise(scale: Double = 4, _ spelling: Spelling) throws -> (
        spelled: [any Operation], found: [any Operation]
    ) {
        var numbers = Numbers(seed: 97)
        var builder = GraphBuilder(batchSize: 3, evaluator: ConstantFolding.evaluator)
        let type = TensorType(.float32, [3, 2, 6])
        let x = builder.addInput("x", type, batch: BatchFactor(axis: 0, outer: 1, inner: 1))
        let result = try spelling(&builder, x)
        builder.addOutput("y", result)
        let spelled = builder.finish()
        try builder.fuseRowOperations(before: result)
        try builder.fuseActivations(before: result)
        let graph = builder.finish()
        let input = ["x": numbers.floats(type.shape, scale: scale)]
        let expected = ReferenceEvaluator(spelled).run(inputs: input.doubles)["y"]!
        #expect(relativeError(evaluate(graph, inputs: input)["y"]!.doubles, expected, floor: 1e-3) < 1e-5)
        #expect(graph[graph.output(named: "y")!].batch == builder.graph[result].batch)
        return (spelled.nodes.map(\.operation), graph.nodes.map(\.operation))
    }

    private static func polynomial(_ b: inout GraphBuilder, _ x: ValueID, cubeAsPower: Bool) throws -> ValueID {
        let cube =
            cubeAsPower ? try b.binary(.pow, x, b.scalar(3)) : try b.multiply(try b.multiply(x, x), x)
        let sum = try b.add(x, try b.multiply(b.scalar(0.044715), cube))
        return try b.multiply(sum, b.scalar(0.797_884_56))
    }

    static let activations: [(UnaryFunction, Spelling)] = [
        (
            .gelu,
            { b, x in
                let phi = try b.add(try b.unary(.erf, try b.divide(x, b.scalar(1.414_213_5))), b.scalar(1))
                return try b.multiply(try b.multiply(x, phi), b.scalar(0.5))
            }
        ),
        (
            .gelu,
            { b, x in
                let erf = try b.unary(.erf, try b.multiply(x, b.scalar(0.707_106_77)))
                return try b.multiply(
                    try b.multiply(b.scalar(0.5), x), try b.unary(.affine(scale: 1, offset: 1), erf))
            }
        ),
        (
            .geluTanh,
            { b, x in
                let tanh = try b.unary(.tanh, try polynomial(&b, x, cubeAsPower: true))
                return try b.multiply(try b.multiply(x, b.scalar(0.5)), try b.add(tanh, b.scalar(1)))
            }
        ),
        (
            .geluTanh,
            { b, x in
                let tanh = try b.unary(.tanh, try polynomial(&b, x, cubeAsPower: false))
                return try b.multiply(b.scalar(0.5), try b.multiply(x, try b.add(b.scalar(1), tanh)))
            }
        ),
        (.silu, { b, x in try b.multiply(x, try b.unary(.sigmoid, x)) }),
        (
            .silu,
            { b, x in
                try b.divide(x, try b.add(b.scalar(1), try b.unary(.exp, try b.unary(.neg, x))))
            }
        ),
        (.mish, { b, x in try b.multiply(x, try b.unary(.tanh, try b.unary(.softplus, x))) }),
        (
            .hardSwish,
            { b, x in
                let clipped = try b.unary(.clip(low: 0, high: 6), try b.add(x, b.scalar(3)))
                return try b.divide(try b.multiply(x, clipped), b.scalar(6))
            }
        ),
        (.softplus, { b, x in try b.unary(.log, try b.add(try b.unary(.exp, x), b.scalar(1))) }),
        (.softsign, { b, x in try b.divide(x, try b.add(b.scalar(1), try b.unary(.abs, x))) }),
    ]

    @Test(arguments: activations.indices) func activation(_ index: Int) throws {
        let (function, spelling) = Self.activations[index]
        let found = try recognise(spelling).found
        #expect(found.map { AnyHashable($0) } == [AnyHashable(Unary(function))])
    }

    private static func normalised(
        _ b: inout GraphBuilder, _ x: ValueID, mean: Bool = true, epsilon: Float = 1e-5, divides: Bool = true,
        axes: [Int] = [2]
    ) throws -> ValueID {
        let centred = mean ? try b.subtract(x, try b.emit(Reduction(.mean, axes: axes, keepsAxes: true), x)) : x
        let square = try b.binary(.pow, centred, b.scalar(2))
        let variance = try b.emit(Reduction(.mean, axes: axes, keepsAxes: true), square)
        let deviation = try b.unary(.sqrt, try b.add(variance, b.scalar(epsilon)))
        if divides { return try b.divide(centred, deviation) }
        return try b.multiply(centred, try b.unary(.reciprocal, deviation))
    }

    private static func softmax(_ b: inout GraphBuilder, _ x: ValueID) throws -> ValueID {
        let highest = try b.emit(Reduction(.max, axes: [2], keepsAxes: true), x)
        let power = try b.unary(.exp, try b.subtract(x, highest))
        return try b.divide(power, try b.emit(Reduction(.sum, axes: [2], keepsAxes: true), power))
    }

    static let rows: [(any Operation, Double, Spelling)] = [
        (RowNormalization(axis: 2, isCentered: true, epsilon: 1e-5), 1, { b, x in try normalised(&b, x) }),
        (
            RowNormalization(axis: 2, isCentered: true, epsilon: 1e-12), 1e-6,
            { b, x in try normalised(&b, x, epsilon: 1e-12, divides: false) }
        ),
        (
            RowNormalization(axis: 1, isCentered: true, epsilon: 0.02), 0.2,
            { b, x in try normalised(&b, x, epsilon: 0.02, axes: [1, 2]) }
        ),
        (
            RowNormalization(axis: 2, isCentered: false, epsilon: 1e-6), 1e-3,
            { b, x in try normalised(&b, x, mean: false, epsilon: 1e-6, divides: false) }
        ),
        (
            Softmax(.softmax, axis: 2), 3,
            { b, x in try softmax(&b, x) }
        ),
    ]

    @Test(arguments: rows.indices) func rowOperation(_ index: Int) throws {
        let (operation, scale, spelling) = Self.rows[index]
        let found = try recognise(scale: scale, spelling).found
        #expect(found.map { AnyHashable($0) } == [AnyHashable(operation)])
    }

    /// What resembles a known function stays as it is: another slope, another constant, what else is read, and bounds and
    /// addends that matter far away or to a logarithm.
    static let others: [Spelling] = [
        { b, x in try b.multiply(x, try b.unary(.sigmoid, try b.multiply(x, b.scalar(1.702)))) },
        { b, x in
            let phi = try b.add(try b.unary(.erf, try b.divide(x, b.scalar(1.4143))), b.scalar(1))
            return try b.multiply(try b.multiply(x, phi), b.scalar(0.5))
        },
        { b, x in
            let variance = try b.emit(
                Reduction(.mean, axes: [2], keepsAxes: true), try b.unary(.square, x))
            return try b.divide(x, try b.add(try b.unary(.sqrt, variance), b.scalar(1e-5)))
        },
        { b, x in try normalised(&b, x, axes: [1]) },
        { b, x in
            let sigmoid = try b.unary(.sigmoid, x)
            return try b.add(try b.multiply(x, sigmoid), try b.unary(.square, sigmoid))
        },
        { b, x in try b.add(try b.unary(.sigmoid, x), b.scalar(1e-8)) },
        { b, x in try b.multiply(try b.unary(.clip(low: -100, high: 100), x), try b.unary(.sigmoid, x)) },
        { b, x in
            let power = try b.unary(.exp, x)
            let sum = try b.emit(Reduction(.sum, axes: [2], keepsAxes: true), power)
            return try b.divide(power, try b.add(sum, b.scalar(1e-9)))
        },
    ]

    @Test(arguments: others.indices) func staysAsItIs(_ index: Int) throws {
        let (spelled, found) = try recognise(scale: 1, Self.others[index])
        #expect(found.map { AnyHashable($0) } == spelled.map { AnyHashable($0) })
    }

    /// A bound before or behind a known function stays, though none of the numbers tried may reach it.
    static let bounded: [([any Operation], Spelling)] = [
        (
            [Unary(.silu), Unary(.clip(low: -1e9, high: 1e9))],
            { b, x in try b.unary(.clip(low: -1e9, high: 1e9), try b.multiply(x, try b.unary(.sigmoid, x))) }
        ),
        (
            [RowNormalization(axis: 2, isCentered: true, epsilon: 1e-5), Unary(.clip(low: -9, high: 9))],
            { b, x in try b.unary(.clip(low: -9, high: 9), try normalised(&b, x)) }
        ),
        (
            [Softmax(.softmax, axis: 2), Unary(.clip(low: 1e-8, high: 1))],
            { b, x in try b.unary(.clip(low: 1e-8, high: 1), try softmax(&b, x)) }
        ),
        (
            [Unary(.clip(low: -50, high: 50)), Softmax(.softmax, axis: 2)],
            { b, x in try softmax(&b, try b.unary(.clip(low: -50, high: 50), x)) }
        ),
    ]

    @Test(arguments: bounded.indices) func boundsStay(_ index: Int) throws {
        let (operations, spelling) = Self.bounded[index]
        let found = try recognise(scale: 1, spelling).found
        #expect(found.map { AnyHashable($0) } == operations.map { AnyHashable($0) })
    }
}
