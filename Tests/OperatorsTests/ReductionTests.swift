import Kernels
import Operators
import TensorGraph
import TestSupport
import Testing

@Suite struct ReductionTests {
    static let axes: [[Int]] = [[], [0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]]

    @Test(arguments: ReductionFunction.allCases, axes)
    func reductions(_ function: ReductionFunction, axes: [Int]) throws {
        var numbers = Numbers(seed: 31)
        var x = numbers.floats([3, 4, 5], scale: 2)
        // A logarithm of a sum needs it positive.
        if function == .logSum { x = Constant(x.floatValues.map { abs($0) + 0.1 }, shape: [3, 4, 5]) }
        for keepsAxes in [true, false] {
            try checkDefinition(Reduction(function, axes: axes, keepsAxes: keepsAxes), [x], tolerance: 5e-5)
        }
    }

    /// Products over entries that are 0, where dividing the product by an entry fails.
    @Test func productsWithZeros() throws {
        let x = Constant([0, 3, 2, 0, 5, 0, 1, 2, 4] as [Float], shape: [3, 3])
        for axes in [[0], [1], [0, 1]] {
            try checkDefinition(Reduction(.prod, axes: axes, keepsAxes: false), [x])
        }
    }

    /// PyTorch's values where several entries are extreme, and where a norm is 0.
    @Test(
        arguments: [
            (.max, [2, 1, 2], [0.5, 0, 0.5]), (.min, [1, 1, 2], [0.5, 0.5, 0]), (.l2, [0, 0], [0, 0]),
            (.l1, [0, -2], [0, -1]), (.logSumExp, [1, 2], [0.268_941_4, 0.731_058_6]),
        ] as [(ReductionFunction, [Float], [Float])])
    func kinks(_ function: ReductionFunction, x: [Float], expected: [Float]) throws {
        let operation = Reduction(function, axes: [0], keepsAxes: false)
        var builder = GraphBuilder(batchSize: 1, evaluator: { _, _, _ in nil })
        let y = try builder.emit(operation, builder.addInput("x", TensorType(.float32, [x.count]), batch: nil))
        builder.followsBatch = false
        let node = try #require(builder.graph.producer(of: y))
        let one = builder.addConstant(Constant([1] as [Float], shape: []))
        let gradient = try operation.inputGradient(0, of: node, outputGradients: [one], in: &builder)
        builder.addOutput("gradient", try #require(gradient))
        let result = evaluate(builder.finish(), inputs: ["x": Constant(x)])["gradient"]!
        #expect(agree(result.doubles, expected.map(Double.init), tolerance: 1e-6))
    }

    /// Over no entries: the neutral element, in the shape that is left.
    @Test func emptyAxes() throws {
        let x = Constant([] as [Float], shape: [2, 0])
        let neutral: [(ReductionFunction, Float)] = [
            (.sum, 0), (.prod, 1), (.max, -.infinity), (.min, .infinity), (.l1, 0), (.l2, 0), (.sumSquare, 0),
            (.logSum, -.infinity), (.logSumExp, -.infinity),
        ]
        for (function, value) in neutral {
            let result = try run(Reduction(function, axes: [1], keepsAxes: false), [x])[0]
            #expect(result.type.shape == [2] && result.floatValues == [value, value], "\(function)")
        }
        let kept = try run(Reduction(.sum, axes: [0], keepsAxes: true), [x])[0]
        #expect(kept.type.shape == [1, 0])
    }

    static let cumulativeSums = [false, true].flatMap { reversed in
        [false, true].map { CumulativeSum(axis: 1, excludesSelf: $0, isReversed: reversed) }
    }

    @Test(arguments: cumulativeSums)
    func cumulative(_ operation: CumulativeSum) throws {
        var numbers = Numbers(seed: 32)
        try checkDefinition(operation, [numbers.floats([2, 4, 3])])
        try checkDefinition(operation, [numbers.integers([2, 4, 3], below: 9)], gradients: [])
    }

    @Test func searches() throws {
        let x = Constant([1, 3, 3, 0, .nan, 2] as [Float], shape: [2, 3])
        func found(_ extreme: ArgExtreme, axis: Int, last: Bool = false) throws -> [Int64] {
            let search = ArgumentSearch(extreme, axis: axis, keepsAxis: true, selectsLast: last)
            return try run(search, [x])[0].int64Values
        }
        #expect(try found(.max, axis: 1) == [1, 1])
        #expect(try found(.max, axis: 1, last: true) == [2, 1])
        #expect(try found(.min, axis: 0) == [1, 1, 1])
        let integers = Constant([4, -4, 4] as [Int64])
        let last = ArgumentSearch(.max, axis: 0, keepsAxis: false, selectsLast: true)
        #expect(try run(last, [integers])[0].int64Values == [2])
        #expect(throws: GraphError.self) { try run(last, [Constant([] as [Float])]) }
    }

    // MARK: The operators

    /// Axes came as an attribute first and as an input later; without any, all or none are meant.
    @Test func axesOfTheOperators() throws {
        let x = Constant([1, 2, 3, 4] as [Float], shape: [2, 2])
        func sum(_ opset: Int, _ attributes: [String: AttributeValue] = [:]) throws -> Constant {
            try runOperator("ReduceSum", opset: opset, [x], attributes: attributes)[0]
        }
        let columns = try sum(11, ["axes": .ints([-2]), "keepdims": .int(0)])
        #expect(columns.type.shape == [2] && columns.floatValues == [4, 6])
        #expect(try sum(13).floatValues == [10])
        #expect(try sum(13).type.shape == [1, 1])
        #expect(try sum(13, ["noop_with_empty_axes": .int(1)]).floatValues == [1, 2, 3, 4])
        #expect(throws: GraphError.self) { try sum(11, ["axes": .ints([2])]) }
        #expect(throws: GraphError.self) { try sum(11, ["axes": .ints([0, -2])]) }
        // With nothing to combine, what a norm does to each entry is still done (ONNX ReduceL1).
        let norms = try runOperator(
            "ReduceL1", opset: 18, [Constant([-1, 2] as [Float])], attributes: ["noop_with_empty_axes": .int(1)])[0]
        #expect(norms.floatValues == [1, 2])
    }

    @Test func truthAndIntegers() throws {
        let truth = Constant([true, false, false, false], shape: [2, 2])
        let any = try runOperator(
            "ReduceMax", opset: 20, [truth, nil], attributes: ["keepdims": .int(0)])[0]
        #expect(any.type == TensorType(.bool, []) && any.int64Values == [1])
        let empty = Constant([] as [Bool], shape: [0])
        #expect(try runOperator("ReduceMax", opset: 20, [empty])[0].int64Values == [0])
        #expect(try runOperator("ReduceMin", opset: 20, [empty])[0].int64Values == [1])
        let integers = Constant([3, 4] as [Int64])
        #expect(try runOperator("ReduceL2", opset: 13, [integers])[0].int64Values == [5])
        #expect(try runOperator("ReduceMean", opset: 13, [integers])[0].int64Values == [3])
    }
}
