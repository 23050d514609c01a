import TensorGraph

/// ONNX `CenterCropPad`: axes cut or filled up with zeros on both sides.
enum CenterCropPadOperator {
    static let all: [any OperatorPlugin] = [
        StandardOperator("CenterCropPad", since: 18, structuralInputs: [1], expand: expand)
    ]

    @Sendable
    private static func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        guard let target = try node.constantInts(1, "shape") else { throw .invalid("its shape is missing") }
        var axes = Array(shape.indices)
        if let named = try node.ints("axes") {
            axes = []
            for axis in named { axes.append(try normalizedAxis(axis, rank: shape.count)) }
        }
        guard target.count == axes.count else { throw .invalid("\(target.count) sizes for \(axes.count) axes") }
        try CheckedSize.check(target)
        var (before, after) = (shape.map { _ in 0 }, shape.map { _ in 0 })
        for (axis, size) in zip(axes, target) where size != shape[axis] {
            // The odd entry is cut or added at the end.
            before[axis] = size > shape[axis] ? (size - shape[axis]) / 2 : -((shape[axis] - size) / 2)
            after[axis] = size - shape[axis] - before[axis]
        }
        let zero: Constant =
            switch node.type(x).elementType {
            case .float32, .float64: Constant([0] as [Float], shape: [])
            case .int64: Constant([0] as [Int64], shape: [])
            case .bool: Constant([false], shape: [])
            }
        return [try node.emit(Padding(mode: nil, before: before, after: after), x, node.constant(zero))]
    }
}
