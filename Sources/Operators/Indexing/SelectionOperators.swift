import ONNXFormat
import TensorGraph

/// Operators whose result is as large as the data say. Every tensor of a graph has a size that is known beforehand, so
/// what they select by must be known too.
enum SelectionOperators {
    static let all: [any OperatorPlugin] =
        [9, 13].map { StandardOperator("NonZero", since: $0, expand: nonZero) }
        + [9, 11, 28].map { StandardOperator("Compress", since: $0, expand: compress) }
        + [11, 28].map { StandardOperator("Unique", since: $0, expand: unique) }

    static func known(_ node: Expansion, input index: Int, _ meaning: String) throws(GraphError) -> Constant {
        guard let constant = node.builder.constant(try node.input(index)) else {
            throw .unsupported(
                "the size of its result depends on its \(meaning) (input \(index)), which is computed from data; "
                    + "export the model with a fixed size, for instance a mask instead of a selection")
        }
        return constant
    }

    /// The places of entries that are not zero: [rank, count].
    private static func nonZero(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try known(node, input: 0, "data")
        node.outputElementTypes[0] = .int64
        let places = x.floatValues.indices.filter { x.floatValues[$0] != 0 }
        let shape = x.type.shape
        let coordinates = zip(shape, shape.rowMajorStrides).flatMap { size, stride in
            places.map { Int64($0 / stride % size) }
        }
        return [node.constant(Constant(coordinates, shape: [shape.count, places.count]))]
    }

    /// The entries of an axis, or of all elements in a row, where a condition holds.
    private static func compress(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        var x = try node.input(0)
        let condition = try known(node, input: 1, "condition")
        var axis = 0
        if let named = try node.int("axis") {
            axis = try normalizedAxis(named, rank: node.shape(x).count)
        } else {
            x = try node.builder.view(x, [node.type(x).count])
        }
        let chosen = condition.int64Values.enumerated().filter { $0.element != 0 }.map(\.offset)
        try checkConstantIndices(chosen, size: node.shape(x)[axis])
        return [try node.emit(Gathering(axis: axis), x, node.constant(Constant(chosen.map(Int64.init))))]
    }

    /// Distinct slices along an axis, or distinct elements; with the place of each one's first occurrence, the number of
    /// each input's slice among them, and how often each occurs.
    private static func unique(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        var x = try node.input(0)
        var constant = try known(node, input: 0, "data")
        var axis = 0
        if let named = try node.int("axis") {
            axis = try normalizedAxis(named, rank: node.shape(x).count)
        } else {
            x = try node.builder.view(x, [node.type(x).count])
            constant = Constant(viewing: constant, as: node.type(x))
        }
        let slices = slices(of: constant, axis: axis)
        var first: [Int] = []
        for index in slices.indices where !first.contains(where: { slices[$0] == slices[index] }) {
            first.append(index)
        }
        if try node.flag("sorted", default: true) {
            first.sort { slices[$0].lexicographicallyPrecedes(slices[$1]) }
        }
        let numbers = slices.map { slice in first.firstIndex { slices[$0] == slice }! }
        for output in 1...3 { node.outputElementTypes[output] = .int64 }
        let firstIndices = node.constant(Constant(first.map(Int64.init)))
        return [
            try node.emit(Gathering(axis: axis), x, firstIndices), firstIndices,
            node.constant(Constant(numbers.map(Int64.init))),
            node.constant(Constant(first.indices.map { number in Int64(numbers.count { $0 == number }) })),
        ]
    }

    private static func slices(of constant: Constant, axis: Int) -> [[Double]] {
        let shape = constant.type.shape
        let inner = shape[(axis + 1)...].elementCount
        let isFloat = constant.type.elementType.isFloatingPoint
        let values = isFloat ? constant.floatValues.map(Double.init) : constant.int64Values.map(Double.init)
        var slices = [[Double]](repeating: [], count: shape[axis])
        for run in 0..<shape[...axis].elementCount {
            slices[run % shape[axis]] += values[run * inner..<(run + 1) * inner]
        }
        return slices
    }
}
