import Kernels
import Operators
import TensorGraph
import TestSupport
import Testing

@Suite struct ElementwiseTests {
    // MARK: One operand

    /// Functions with where they are defined; `points` are away from every kink.
    static let functions: [(UnaryFunction, ClosedRange<Float>)] =
        [
            .neg, .abs, .square, .relu, .leakyRelu(alpha: 0.2), .elu(alpha: 0.7),
            .selu(alpha: 1.673_263_2, gamma: 1.050_701), .celu(alpha: 1.5), .sigmoid, .tanh, .softplus, .softsign,
            .hardSwish, .hardSigmoid(alpha: 0.3, beta: 0.4), .gelu, .geluTanh, .erf, .silu, .mish,
            .thresholdedRelu(alpha: 0.5), .sin, .cos, .atan, .asinh, .clip(low: -0.5, high: 2),
            .clip(low: -.infinity, high: 1), .affine(scale: 2, offset: -1), .reciprocal, .tan,
        ].map { ($0, -100...100) } + [.exp, .sinh, .cosh].map { ($0, -25...25) }
        + [.log, .sqrt, .rsqrt].map { ($0, 0.01...100) } + [.asin, .acos, .atanh].map { ($0, -0.9...0.9) }
        + [(.acosh, 1.1...100)]

    static let points: [Float] = [
        -90, -20, -5.5, -2.9, -1.1, -0.6, -0.3, -0.013, 0.02, 0.2, 0.7, 1.3, 2.2, 3.7, 8, 25, 60,
    ]

    @Test(arguments: functions)
    func unary(_ function: UnaryFunction, domain: ClosedRange<Float>) throws {
        try checkDefinition(Unary(function), [Constant(Self.points.filter(domain.contains))], tolerance: 2e-5)
    }

    /// Steps have no slope; their values are compared by ONNX's tests.
    @Test(arguments: [.sign, .floor, .ceil, .round] as [UnaryFunction])
    func steps(_ function: UnaryFunction) throws {
        try checkDefinition(Unary(function), [Constant(Self.points)], gradients: [])
        #expect(try slopes(Unary(function), [Constant([0.4, -3] as [Float])]) == nil)
    }

    // MARK: Two operands

    static let shapes: [[[Int]]] = [
        [[2, 3], [2, 3]], [[2, 3, 2], [3, 1]], [[3, 1], [2, 3, 2]], [[2, 1, 3], [4, 1]], [[], [2, 2]], [[1, 5], []],
        [[0, 3], [3]], [[2, 1], [1, 1, 0]],
    ]

    @Test(arguments: [.add, .sub, .mul, .div, .min, .max, .prelu] as [BinaryFunction], shapes)
    func binary(_ function: BinaryFunction, shapes: [[Int]]) throws {
        var numbers = Numbers(seed: 21)
        let a = numbers.floats(shapes[0], scale: 2)
        // Away from 0, where a quotient has a pole.
        let b = Constant(numbers.floats(shapes[1]).floatValues.map { $0 + ($0 < 0 ? -0.5 : 0.5) }, shape: shapes[1])
        try checkDefinition(Binary(function), [a, b], gradients: [0, 1], tolerance: 2e-5)
    }

    @Test(arguments: shapes)
    func powers(shapes: [[Int]]) throws {
        var numbers = Numbers(seed: 22)
        let base = Constant(numbers.floats(shapes[0]).floatValues.map { abs($0) + 0.3 }, shape: shapes[0])
        let exponent = numbers.floats(shapes[1], scale: 3)
        try checkDefinition(Binary(.pow), [base, exponent], gradients: [0, 1], tolerance: 5e-5)
    }

    /// Exponents that are known beforehand have a shorter rule; negative bases are allowed where they are whole.
    @Test(arguments: [[2], [3], [1], [-1], [2, 3, -2]] as [[Float]])
    func constantExponents(_ exponents: [Float]) throws {
        let base = Constant([-2, 0.5, 1.5, 1, -0.7, 3] as [Float], shape: [2, 3])
        try checkDefinition(Binary(.pow), [base, Constant(exponents)], constants: [1], tolerance: 5e-5)
    }

    @Test(arguments: [.mod, .fmod] as [BinaryFunction])
    func remainders(_ function: BinaryFunction) throws {
        let a = Constant([7.3, -7.3, 5.1, -0.4] as [Float])
        let b = Constant([3.1, 2.2, -1.5, 0.7] as [Float])
        try checkDefinition(Binary(function), [a, b], gradients: [0, 1], tolerance: 5e-5)
    }

    @Test func selection() throws {
        var numbers = Numbers(seed: 23)
        let condition = Constant([true, false, false], shape: [3, 1])
        let operands = [condition, numbers.floats([2, 3, 2]), numbers.floats([2])]
        try checkDefinition(Select(), operands, gradients: [1, 2])
    }

    @Test(arguments: ComparisonFunction.allCases)
    func comparisons(_ function: ComparisonFunction) throws {
        let a = Constant([1, 2, 3, -1] as [Float], shape: [4, 1])
        let b = Constant([2, -1, 1] as [Float])
        try checkDefinition(Comparison(function), [a, b], gradients: [])
        let integers = [Constant([1, 2, -3] as [Int64]), Constant([2] as [Int64])]
        try checkDefinition(Comparison(function), integers, gradients: [])
        #expect(try slopes(Comparison(function), [a, b]) == nil)
    }

    // MARK: Kinks and singular points: PyTorch's values

    static let kinks: [(BinaryFunction, [[Float]], [[Float]])] = [
        (.max, [[1, 2], [1, 0]], [[0.5, 1], [0.5, 0]]), (.min, [[1, 2], [1, 0]], [[0.5, 0], [0.5, 1]]),
        (.pow, [[0, 0, 0, 2], [0, 2, 1, 0]], [[0, 0, 1, 0], [0, 0, 0, 0.693_147_2]]),
        (.prelu, [[0], [0.25]], [[0.25], [0]]), (.fmod, [[7, -7], [3, 3]], [[1, 1], [-2, 2]]),
        (.mod, [[7, -7], [3, 3]], [[1, 1], [-2, 3]]),
    ]

    @Test(arguments: kinks)
    func kink(_ function: BinaryFunction, operands: [[Float]], expected: [[Float]]) throws {
        for index in 0..<2 {
            let result = try #require(try slopes(Binary(function), operands.map { Constant($0) }, index: index))
            #expect(result == expected[index], "\(function), operand \(index)")
        }
    }

    /// The gradient of the sum of an operation's outputs; nil if none flows.
    private func slopes(_ operation: any Operation, _ inputs: [Constant], index: Int = 0) throws -> [Float]? {
        var builder = GraphBuilder(batchSize: 1, evaluator: { _, _, _ in nil })
        var operands: [ValueID] = []
        for (index, input) in inputs.enumerated() {
            operands.append(builder.addInput("\(index)", input.type, batch: nil))
        }
        let y = try builder.emitAll(operation, operands)[0]
        let type = TensorType(.float32, builder.shape(of: y))
        let ones = builder.addConstant(Constant([Float](repeating: 1, count: type.count), shape: type.shape))
        builder.followsBatch = false
        let node = try #require(builder.graph.producer(of: y))
        let gradient = try operation.inputGradient(index, of: node, outputGradients: [ones], in: &builder)
        guard let gradient else { return nil }
        builder.addOutput("gradient", gradient)
        let named = Dictionary(uniqueKeysWithValues: inputs.enumerated().map { ("\($0)", $1) })
        return evaluate(builder.finish(), inputs: named)["gradient"]!.floatValues
    }

    // MARK: Integers, types, refusals

    /// Division by zero and the one overflow of a quotient must not end the process.
    @Test func integersWithoutAnswer() throws {
        let a = Constant([5, -5, .min, .min, 0] as [Int64])
        let b = Constant([0, 0, -1, 0, -1] as [Int64])
        #expect(try run(Binary(.div), [a, b])[0].int64Values == [0, 0, .min, 0, 0])
        for function in [.mod, .fmod] as [BinaryFunction] {
            #expect(try run(Binary(function), [a, b])[0].int64Values == [0, 0, 0, 0, 0])
        }
        let powers = try run(
            Binary(.pow), [Constant([2, 2, 0, 1, -1] as [Int64]), Constant([-1, 3, 0, -5, -3] as [Int64])])[0]
        #expect(powers.int64Values == [0, 8, 1, 1, -1])
    }

    @Test func castsWrapTruncateAndRound() throws {
        let x = Constant([300.7, -1.5, .nan, .infinity, -.infinity, 65519, 0.1] as [Float])
        func cast(_ number: Int) throws -> Constant {
            try runOperator("Cast", opset: 13, [x], attributes: ["to": .int(number)])[0]
        }
        #expect(try cast(7).int64Values == [300, -1, 0, .max, .min, 65519, 0])
        #expect(try Array(cast(2).int64Values.prefix(2)) == [44, 255])
        #expect(try cast(9).int64Values == [1, 1, 1, 1, 1, 1, 1])
        let half = try cast(10).floatValues
        #expect(half[5] == 65504 && half[6] == 0.099975586 && half[2].isNaN && half[3] == .infinity)
        #expect(throws: GraphError.self) { try cast(8) }
        #expect(throws: GraphError.self) { try cast(99) }
    }

    @Test func typesAndShapesThatDoNotFit() {
        let float = Constant([1, 2] as [Float])
        let integer = Constant([1, 2] as [Int64])
        let truth = Constant([true, false])
        let three = Constant([1, 2, 3] as [Float])
        let refused: [(any Operation, [Constant])] = [
            (Binary(.add), [float, integer]), (Binary(.add), [truth, truth]), (Binary(.add), [float, three]),
            (Unary(.exp), [integer]), (Comparison(.less), [truth, truth]), (Comparison(.equal), [float, integer]),
            (Logical(.and), [float, float]), (Not(), [float]), (Select(), [float, float, float]),
            (Select(), [truth, float, integer]), (Select(), [truth, three, float]),
        ]
        for (operation, inputs) in refused {
            #expect(throws: GraphError.self, "\(operation)") { try run(operation, inputs) }
        }
    }
}
