import Kernels
import Operators
import TensorGraph
import TestSupport
import Testing

@Suite struct IndexingTests {
    struct Lookup: Sendable, CustomTestStringConvertible {
        var operation: any Operation
        var shape: [Int]
        var indices: Constant
        /// Shape of the updates of a scatter.
        var updates: [Int]?

        init(_ operation: any Operation, _ shape: [Int], _ indices: Constant, updates: [Int]? = nil) {
            (self.operation, self.shape, self.indices, self.updates) = (operation, shape, indices, updates)
        }

        var testDescription: String { "\(operation) of \(shape) by \(indices.int64Values)" }
    }

    private static func ints(_ shape: [Int], _ values: Int64...) -> Constant { Constant(values, shape: shape) }

    static let lookups: [Lookup] = [
        Lookup(Gathering(axis: 0), [4, 3], ints([2, 3], 0, -1, 3, 2, 2, -4)),
        Lookup(Gathering(axis: 1), [2, 4, 3], ints([2], 3, 1)), Lookup(Gathering(axis: 2), [2, 2, 3], ints([], -2)),
        Lookup(Gathering(axis: 0), [5], ints([1, 2, 1], 4, 4)), Lookup(Gathering(axis: 0), [3, 2], ints([0])),
        Lookup(ElementGathering(axis: 0), [3, 2], ints([2, 2], 2, -1, 0, 2)),
        Lookup(ElementGathering(axis: 1), [3, 2], ints([2, 3], 1, 0, -1, 0, 0, 0)),
        Lookup(ElementGathering(axis: 1), [2, 3, 2], ints([2, 1, 2], 2, 0, -3, 1)),
        Lookup(TupleGathering(), [2, 3, 2], ints([2, 2], 1, 2, -1, 0)),
        Lookup(TupleGathering(), [2, 3], ints([2, 1, 2], 0, -1, 1, 1)),
        Lookup(TupleGathering(sharedAxes: 1), [2, 3, 2], ints([2, 2, 1], 0, 2, -1, 1)),
        Lookup(TupleGathering(sharedAxes: 2), [2, 2, 3, 2], ints([2, 2, 1], 0, 2, -1, 1)),
        Lookup(TupleGathering(), [2, 2], ints([3, 0])),
        Lookup(ElementScattering(axis: 0, .none), [3, 2], ints([2, 2], 2, 0, 0, -2), updates: [2, 2]),
        Lookup(ElementScattering(axis: 1, .add), [2, 3], ints([2, 2], 1, 1, -1, 0), updates: [2, 2]),
        Lookup(TupleScattering(.none), [3, 2], ints([2, 1], 2, -3), updates: [2, 2]),
        Lookup(TupleScattering(.add), [3, 2], ints([3, 2], 0, 1, -1, 1, 0, -1), updates: [3]),
    ]

    @Test(arguments: lookups)
    func definition(_ lookup: Lookup) throws {
        var numbers = Numbers(seed: 51)
        let inputs =
            [numbers.floats(lookup.shape), lookup.indices] + (lookup.updates.map { [numbers.floats($0)] } ?? [])
        try checkDefinition(lookup.operation, inputs, gradients: lookup.updates == nil ? [0] : [0, 2])
    }

    @Test(arguments: lookups)
    func integers(_ lookup: Lookup) throws {
        var numbers = Numbers(seed: 52)
        let inputs =
            [numbers.integers(lookup.shape, below: 99), lookup.indices]
            + (lookup.updates.map { [numbers.integers($0, below: 99)] } ?? [])
        try checkDefinition(lookup.operation, inputs, gradients: [])
    }

    /// Other ways to combine have values but no gradient.
    @Test(arguments: [.mul, .max, .min] as [ScatterReduction])
    func combiningScatters(_ reduction: ScatterReduction) throws {
        let x = Constant([1, -2, 3, 4] as [Float], shape: [2, 2])
        let updates = Constant([5, -6, 0.5] as [Float], shape: [3, 1])
        let inputs = [x, Self.ints([3, 1], 0, 1, 0), updates]
        // The third index is in row 2 of two: rows of indices beyond the data are refused.
        #expect(throws: GraphError.self) { try run(ElementScattering(axis: 1, reduction), inputs) }
        try checkDefinition(ElementScattering(axis: 0, reduction), inputs, gradients: [])
        let tuples = [x, Self.ints([3, 2], 0, 1, 1, 0, 0, 1), Constant([5, -6, 0.5] as [Float])]
        try checkDefinition(TupleScattering(reduction), tuples, gradients: [])
    }

    @Test(arguments: [
        (true, 0), (true, 1), (false, -1), (false, 0), (true, -9), (false, 9), (true, .max), (false, .min),
    ])
    func triangles(isUpper: Bool, diagonal: Int) throws {
        var numbers = Numbers(seed: 53)
        try checkDefinition(Triangle(isUpper: isUpper, diagonal: diagonal), [numbers.floats([2, 3, 4])])
    }

    /// Nothing is multiplied: an infinity outside of the triangle leaves no NaN.
    @Test func triangleOfInfinities() throws {
        let x = Constant([Float](repeating: .infinity, count: 4), shape: [2, 2])
        let kept = try run(Triangle(isUpper: false, diagonal: 0), [x])[0]
        #expect(kept.floatValues == [.infinity, 0, .infinity, .infinity])
    }

    @Test(arguments: [0, 1, 2], [true, false])
    func topSelections(axis: Int, takesLargest: Bool) throws {
        // Distinct entries, so that no small step changes the order.
        let x = Constant((0..<24).map { Float($0 * 7 % 24) }, shape: [2, 3, 4])
        try checkDefinition(TopSelection(axis: axis, count: 2, takesLargest: takesLargest), [x])
    }

    @Test func topSelectionOfEqualsAndNaN() throws {
        let x = Constant([1, .nan, 3, 3, -1] as [Float])
        let largest = try run(TopSelection(axis: 0, count: 4, takesLargest: true), [x])
        #expect(largest[1].int64Values == [1, 2, 3, 0])
        let smallest = try run(TopSelection(axis: 0, count: 5, takesLargest: false), [x])
        #expect(smallest[1].int64Values == [4, 0, 2, 3, 1])
        #expect(throws: GraphError.self) { try run(TopSelection(axis: 0, count: 6, takesLargest: true), [x]) }
    }

    @Test func oneHot() throws {
        let indices = Self.ints([2, 2], 0, -1, 5, 2)
        let values = Constant([-1, 4] as [Float])
        let last = try run(OneHotEncoding(axis: 2, depth: 3), [indices, values])[0]
        #expect(last.type.shape == [2, 2, 3])
        #expect(last.floatValues == [4, -1, -1, -1, -1, 4, -1, -1, -1, -1, -1, 4])
        let first = try run(OneHotEncoding(axis: 0, depth: 3), [indices, values])[0]
        #expect(first.floatValues == [4, -1, -1, -1, -1, -1, -1, -1, -1, 4, -1, 4])
        // Float indices are truncated (ONNX OneHot).
        let fromFloats = try runOperator(
            "OneHot", opset: 11, [Constant([1.9] as [Float]), Constant([2] as [Int64]), values], constants: [1])[0]
        #expect(fromFloats.floatValues == [-1, 4])
    }

    // MARK: Indices outside of the axis

    /// A float reads NaN, so that its sample is left out of private sums; the gradient of such a read goes nowhere.
    @Test(arguments: [4, -5, .max, .min] as [Int64])
    func outside(index: Int64) throws {
        var numbers = Numbers(seed: 54)
        let x = numbers.floats([4, 2])
        let read = try run(Gathering(axis: 0), [x, Self.ints([2], index, 1)])[0]
        #expect(read.floatValues.map(\.isNaN) == [true, true, false, false])
        let elements = try run(ElementGathering(axis: 0), [x, Self.ints([1, 2], 1, index)])[0]
        #expect(elements.floatValues.map(\.isNaN) == [false, true])
        let slices = try run(TupleGathering(), [x, Self.ints([2, 1], index, 0)])[0]
        #expect(slices.floatValues.map(\.isNaN) == [true, true, false, false])
        let integers = try run(Gathering(axis: 0), [Self.ints([4], 7, 7, 7, 7), Self.ints([1], index)])[0]
        #expect(integers.int64Values == [0])
        let adjoint = try run(
            GatheringAdjoint(axis: 0, shape: [4, 2]), [numbers.floats([2, 2]), Self.ints([2], index, 1)])
        #expect(adjoint[0].floatValues.map { $0 != 0 } == [false, false, true, true, false, false, false, false])
    }

    /// A scatter writes NaN into the same sample's part, and never beyond the tensor.
    @Test func scatterOutside() throws {
        let x = Constant([1, 2, 3, 4] as [Float], shape: [2, 2])
        let elements = try run(
            ElementScattering(axis: 1, .add),
            [x, Self.ints([2, 1], 0, 2), Constant([1, 1] as [Float], shape: [2, 1])])[0]
        #expect(elements.floatValues[..<2] == [2, 2] && elements.floatValues[2].isNaN && elements.floatValues[3] == 4)
        let none = try run(
            ElementScattering(axis: 0, .none),
            [
                Constant([] as [Float], shape: [0, 2]), Constant([] as [Int64], shape: [0, 2]),
                Constant([] as [Float], shape: [0, 2]),
            ]
        )[0]
        #expect(none.type.shape == [0, 2])
    }

    @Test func constantIndicesOutsideAreRefused() {
        let x = Constant([1, 2, 3, 4] as [Float], shape: [2, 2])
        let updates = Constant([1, 1] as [Float], shape: [1, 2])
        for (type, indices) in [
            ("Gather", Self.ints([1], 2)), ("GatherElements", Self.ints([1, 2], 0, -3)),
            ("GatherND", Self.ints([1, 1], 2)),
            ("ScatterElements", Self.ints([1, 2], 0, 2)), ("ScatterND", Self.ints([1, 1], -3)),
        ] {
            #expect(throws: GraphError.self, "\(type)") {
                try runOperator(type, opset: 13, [x, indices, updates], constants: [1])
            }
        }
    }

    @Test func shapesThatDoNotFit() {
        let x = Constant([1, 2, 3, 4] as [Float], shape: [2, 2])
        let index = Self.ints([1], 0)
        let refused: [(any Operation, [Constant])] = [
            (Gathering(axis: 2), [x, index]), (Gathering(axis: 0), [x, Constant([0] as [Float])]),
            (ElementGathering(axis: 0), [x, index]), (ElementGathering(axis: 0), [x, Self.ints([1, 3], 0, 0, 0)]),
            (TupleGathering(), [x, Self.ints([1, 3], 0, 0, 0)]),
            (TupleGathering(sharedAxes: 1), [x, Self.ints([3, 1], 0, 0, 0)]),
            (TupleScattering(.none), [x, Self.ints([1, 1], 0), Constant([1] as [Float])]),
            (
                ElementScattering(axis: 0, .add),
                [x, Self.ints([1, 2], 0, 0), Constant([1] as [Float], shape: [1, 1])]
            ),
            (Triangle(isUpper: true, diagonal: 0), [Constant([1] as [Float])]),
        ]
        for (operation, inputs) in refused {
            #expect(throws: GraphError.self, "\(operation)") { try run(operation, inputs) }
        }
    }
}
