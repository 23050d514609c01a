import Kernels
import Operators
import TensorGraph
import TestSupport
import Testing

@Suite struct LayoutTests {
    struct Move: Sendable, CustomTestStringConvertible {
        var operation: any Operation
        var shapes: [[Int]]

        init(_ operation: any Operation, _ shapes: [Int]...) {
            self.operation = operation
            self.shapes = shapes
        }

        var testDescription: String { "\(operation) of \(shapes)" }
    }

    static let moves: [Move] = [
        Move(View(shape: [4, 1, 6]), [2, 3, 4]), Move(View(shape: []), [1, 1]), Move(View(shape: [0, 5]), [3, 0]),
        Move(Transposition(permutation: [2, 0, 1]), [2, 3, 4]), Move(Transposition(permutation: [1, 0]), [5, 3]),
        Move(Transposition(permutation: [3, 1, 0, 2]), [2, 1, 3, 4]),
        Move(Transposition(permutation: [1, 0]), [0, 2]),
        Move(Broadcasting(shape: [4, 2, 3]), [2, 1]), Move(Broadcasting(shape: [2, 3]), []),
        Move(Broadcasting(shape: [3, 1, 2, 2]), [3, 1, 1, 2]), Move(Broadcasting(shape: [0, 2]), [1, 2]),
        Move(Concatenation(axis: 1), [2, 1, 3], [2, 4, 3], [2, 2, 3]), Move(Concatenation(axis: 0), [2], [0], [1]),
        Move(Concatenation(axis: 2), [2, 2, 1], [2, 2, 3]),
        Move(Slicing(starts: [1, 3], steps: [1, -2], counts: [2, 2]), [4, 5]),
        Move(Slicing(starts: [0, 0, 1], steps: [2, 1, 3], counts: [2, 2, 2]), [4, 2, 5]),
        Move(Slicing(starts: [0, 4], steps: [1, -1], counts: [2, 5]), [2, 5]),
        Move(Slicing(starts: [0, 0], steps: [1, 1], counts: [0, 2]), [2, 5]),
        Move(Padding(mode: nil, before: [1, 0], after: [0, 2]), [2, 3], []),
        Move(Padding(mode: nil, before: [-1, 2], after: [1, -2]), [3, 4], [1]),
        Move(Padding(mode: nil, before: [-3, 0], after: [0, 0]), [3, 2], []),
        Move(Padding(mode: .reflect, before: [0, 2], after: [1, 3]), [2, 4]),
        Move(Padding(mode: .reflect, before: [7], after: [9]), [3]),
        Move(Padding(mode: .edge, before: [2, 0], after: [0, 1]), [2, 3]),
        Move(Padding(mode: .edge, before: [-1, 3], after: [2, -1]), [3, 3]),
        Move(Padding(mode: .wrap, before: [1, 5], after: [0, 4]), [2, 3]),
    ]

    /// The gradient with respect to every tensor but the pad value, which has none.
    @Test(arguments: moves)
    func definition(_ move: Move) throws {
        var numbers = Numbers(seed: 41)
        let gradients = move.operation is Padding ? [0] : Array(move.shapes.indices)
        try checkDefinition(move.operation, move.shapes.map { numbers.floats($0) }, gradients: gradients)
    }

    /// Integers and truth values are moved like floats.
    @Test(arguments: moves)
    func otherTypes(_ move: Move) throws {
        var numbers = Numbers(seed: 42)
        let integers = move.shapes.map { numbers.integers($0, below: 100) }
        try checkDefinition(move.operation, integers, gradients: [])
        let truths = integers.map { Constant($0.int64Values.map { $0 % 2 == 1 }, shape: $0.type.shape) }
        let moved = try run(move.operation, truths)[0]
        let expected = try run(
            move.operation, integers.map { Constant($0.int64Values.map { $0 % 2 }, shape: $0.type.shape) })
        #expect(moved.type.elementType == .bool && moved.int64Values == expected[0].int64Values)
    }

    @Test func refusals() {
        let x = Constant([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
        let refused: [(any Operation, [Constant])] = [
            (View(shape: [4]), [x]), (Transposition(permutation: [0, 0]), [x]), (Transposition(permutation: [0]), [x]),
            (Broadcasting(shape: [3, 2]), [x]), (Broadcasting(shape: [3]), [x]), (Concatenation(axis: 2), [x, x]),
            (Concatenation(axis: 0), [x, Constant([1, 2] as [Float], shape: [1, 2])]),
            (Concatenation(axis: 0), [x, Constant([1, 2, 3] as [Int64], shape: [1, 3])]),
            (Slicing(starts: [0, 0], steps: [1, 1], counts: [2, 4]), [x]),
            (Slicing(starts: [0, 0], steps: [1, -1], counts: [2, 2]), [x]),
            (Slicing(starts: [0], steps: [1], counts: [1]), [x]),
            (Padding(mode: .edge, before: [0], after: [0]), [x]),
            (Padding(mode: nil, before: [-3, 0], after: [0, 0]), [x, x]),
            (Padding(mode: .edge, before: [1], after: [0]), [Constant([] as [Float])]),
        ]
        for (operation, inputs) in refused {
            #expect(throws: GraphError.self, "\(operation)") { try run(operation, inputs) }
        }
    }

    // MARK: The operators: what their numbers may not be

    static let refusedNodes: [(String, [String: AttributeValue], [Constant?])] = {
        let x = Constant([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
        func ints(_ values: Int64...) -> Constant { Constant(values) }
        return [
            ("Reshape", [:], [x, ints(4, -1)]), ("Reshape", [:], [x, ints(-1, -1)]),
            ("Reshape", [:], [x, ints(2, 3, 0)]),
            ("Reshape", [:], [x, ints(-2, -3)]), ("Reshape", [:], [x]), ("Reshape", [:], [x, ints(.max, .max)]),
            ("Squeeze", [:], [x, ints(0)]), ("Squeeze", [:], [Constant([1] as [Float], shape: []), ints(0)]),
            ("Unsqueeze", [:], [x, ints(0, 0)]), ("Unsqueeze", [:], [x, ints(4)]),
            ("Flatten", ["axis": .int(3)], [x]), ("Expand", [:], [x, ints(2, 2)]), ("Expand", [:], [x, ints(-1, 3)]),
            ("Tile", [:], [x, ints(2)]), ("Tile", [:], [x, ints(1, -1)]), ("Tile", [:], [x, ints(.max, 2)]),
            ("Transpose", ["perm": .ints([0, 2])], [x]), ("Concat", [:], [x, x]),
            ("Concat", ["axis": .int(2)], [x, x]),
            ("Split", ["axis": .int(1)], [x, ints(2, 2)]), ("Split", ["axis": .int(1)], [x, ints(4, -1)]),
            ("Slice", [:], [x, ints(0), ints(1, 2)]), ("Slice", [:], [x, ints(0), ints(1), ints(2)]),
            ("Slice", [:], [x, ints(0), ints(1), ints(0), ints(0)]), ("Slice", [:], [x]),
            ("Slice", [:], [x, ints(0, 0), ints(1, 1), ints(1, -1)]),
            ("Pad", [:], [x, ints(1, 1)]), ("Pad", ["mode": .string("odd")], [x, ints(0, 1, 0, 0)]),
            ("Pad", [:], [x, ints(.max, 0, .max, 0)]), ("ConstantOfShape", [:], [ints(-1)]),
            ("ConstantOfShape", [:], [ints(1 << 40)]), ("Range", [:], [ints(0), ints(5), ints(0)]),
            ("SpaceToDepth", ["blocksize": .int(2)], [x]), ("DepthToSpace", ["blocksize": .int(0)], [x]),
        ]
    }()

    /// Numbers come out of a file: none may end the process or ask for memory without bound.
    @Test(arguments: refusedNodes)
    func refusedNumbers(_ type: String, attributes: [String: AttributeValue], inputs: [Constant?]) throws {
        #expect(throws: GraphError.self) { try expand(type, opset: 13, inputs, attributes) }
    }

    /// Bounds beyond the axis are clamped to it, whatever their size (ONNX Slice).
    @Test(
        arguments: [
            (Int64.min, Int64.max, 1, [0, 1, 2]), (.max, .min, -1, [2, 1, 0]), (-2, .max, .max, [1]), (5, 9, 1, []),
            (0, .min, .min, [0]), (-1, -4, -2, [2, 0]),
        ] as [(Int64, Int64, Int64, [Float])])
    func sliceBounds(_ start: Int64, end: Int64, step: Int64, expected: [Float]) throws {
        let numbers = [start, end, 0, step].map { Constant([$0]) }
        let result = try expand("Slice", opset: 13, [Constant([0, 1, 2] as [Float])] + numbers)
        #expect(result[0].floatValues == expected)
    }

    /// Runs a node whose inputs after the first are constants, as they must be for operators that read sizes.
    private func expand(
        _ type: String, opset: Int, _ inputs: [Constant?], _ attributes: [String: AttributeValue] = [:]
    ) throws -> [Constant] {
        // Of these two the first input is such a number, too.
        let first = type == "ConstantOfShape" || type == "Range" ? 0 : 1
        return try runOperator(
            type, opset: opset, inputs, attributes: attributes, constants: Set(first..<first + inputs.count))
    }
}
