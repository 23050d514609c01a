import TensorGraph

/// ONNX `CumProd`, by doubling: after k rounds every entry is the product of the last 2^k (Hillis and Steele 1986).
enum CumulativeProductOperator {
    static let all: [any OperatorPlugin] = [
        StandardOperator("CumProd", since: 26, structuralInputs: [1], expand: expand)
    ]

    @Sendable
    private static func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        var x = try node.input(0)
        guard let axes = try node.constantInts(1, "axis"), axes.count == 1 else {
            throw .invalid("its axis (input 1) must be one number")
        }
        let axis = try normalizedAxis(axes[0], rank: node.shape(x).count)
        let size = node.shape(x)[axis]
        let isReversed = try node.flag("reverse")
        if try node.flag("exclusive") { x = try shifted(x, axis, by: 1, isReversed, in: &node) }
        var distance = 1
        while distance < size {
            x = try node.builder.multiply(x, try shifted(x, axis, by: distance, isReversed, in: &node))
            distance *= 2
        }
        return [x]
    }

    /// The entries `distance` farther on, ones in front.
    private static func shifted(
        _ x: ValueID, _ axis: Int, by distance: Int, _ isReversed: Bool, in node: inout Expansion
    ) throws(GraphError) -> ValueID {
        var (before, after) = (node.shape(x).map { _ in 0 }, node.shape(x).map { _ in 0 })
        (before[axis], after[axis]) = isReversed ? (-distance, distance) : (distance, -distance)
        let one = node.type(x).elementType == .int64 ? node.builder.integer(1) : node.scalar(1)
        return try node.emit(Padding(mode: nil, before: before, after: after), x, one)
    }
}
