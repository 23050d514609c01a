import TensorGraph

/// Operators that change how a tensor's elements are grouped into axes, or repeat them.
public enum ShapeOperators {
    public static let all: [any OperatorPlugin] =
        [5, 13, 14, 19, 21, 23, 24, 25].map {
            StandardOperator("Reshape", since: $0, structuralInputs: [1], expand: reshape)
        }
        + [1, 9, 11, 13, 21, 23, 24, 25].map { StandardOperator("Flatten", since: $0, expand: flatten) }
        + [1, 11, 13, 21, 23, 24, 25].map {
            StandardOperator("Squeeze", since: $0, structuralInputs: [1], expand: squeeze)
        }
        + [1, 11, 13, 21, 23, 24, 25].map {
            StandardOperator("Unsqueeze", since: $0, structuralInputs: [1], expand: unsqueeze)
        }
        + [8, 13].map { StandardOperator("Expand", since: $0, structuralInputs: [1], expand: expand) }
        + [6, 13].map { StandardOperator("Tile", since: $0, structuralInputs: [1], expand: tile) }

    private static func reshape(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        guard let target = try node.intsFromAttributeOrInput("shape", input: 1) else {
            throw .invalid("its shape is missing")
        }
        let shape = try reshaped(node.type(x), to: target, keepsZeros: try node.flag("allowzero"))
        return [try node.builder.view(x, shape)]
    }

    /// ONNX Reshape: 0 copies the input's size unless `keepsZeros`, one -1 is worked out.
    private static func reshaped(_ type: TensorType, to target: [Int], keepsZeros: Bool) throws(GraphError) -> [Int] {
        var shape: [Int] = []
        for (axis, size) in target.enumerated() {
            guard size == 0, !keepsZeros else {
                shape.append(size)
                continue
            }
            guard axis < type.rank else { throw .invalid("shape \(target) copies axis \(axis), which \(type) has not") }
            shape.append(type.shape[axis])
        }
        if let open = shape.firstIndex(of: -1) {
            shape[open] = 1
            try CheckedSize.check(shape)
            let known = shape.elementCount
            guard known > 0, type.count % known == 0 else { throw .invalid("cannot reshape \(type) to \(target)") }
            shape[open] = type.count / known
        }
        try CheckedSize.check(shape)
        return shape
    }

    private static func flatten(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        var axis = try node.int("axis", default: 1)
        if axis < 0 { axis += shape.count }
        guard 0...shape.count ~= axis else { throw .invalid("cannot flatten \(node.type(x)) at axis \(axis)") }
        return [try node.builder.view(x, [shape[..<axis].elementCount, shape[axis...].elementCount])]
    }

    private static func squeeze(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        let dropped: [Int]
        if let axes = try node.intsFromAttributeOrInput("axes", input: 1) {
            guard !shape.isEmpty || axes.isEmpty else {
                throw .invalid("cannot squeeze axes \(axes) of a single number")
            }
            dropped = try normalizedAxes(axes, rank: shape.count)
        } else {
            dropped = shape.indices.filter { shape[$0] == 1 }
        }
        if let axis = dropped.first(where: { shape[$0] != 1 }) {
            throw .invalid("cannot squeeze axis \(axis) of \(node.type(x)): it has \(shape[axis]) entries")
        }
        return [try node.builder.view(x, shape.indices.filter { !dropped.contains($0) }.map { shape[$0] })]
    }

    private static func unsqueeze(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        guard let axes = try node.intsFromAttributeOrInput("axes", input: 1) else {
            throw .invalid("its axes are missing")
        }
        var shape = node.shape(x)
        for axis in try normalizedAxes(axes, rank: shape.count + axes.count) { shape.insert(1, at: axis) }
        return [try node.builder.view(x, shape)]
    }

    private static func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        guard let target = try node.constantInts(1, "shape") else { throw .invalid("its shape is missing") }
        try CheckedSize.check(target)
        guard let shape = broadcastedShape([node.shape(x), target]) else {
            throw .invalid("cannot expand \(node.type(x)) to \(target)")
        }
        try CheckedSize.check(shape)
        let result = try node.builder.broadcast(x, to: shape)
        let axis = BatchRepetition.axis(of: shape, from: node.shape(x), in: node)
        BatchRepetition.mark(result, axis: axis, unlike: x, in: &node.builder)
        return [result]
    }

    private static func tile(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        guard let repeats = try node.constantInts(1, "repeats") else { throw .invalid("its repeats are missing") }
        guard repeats.count == shape.count else {
            throw .invalid("repeats \(repeats) are not one per axis of \(node.type(x))")
        }
        try CheckedSize.check(repeats)
        var tiled: [Int] = []
        for (size, count) in zip(shape, repeats) {
            let product = size.multipliedReportingOverflow(by: count)
            guard !product.overflow else { throw .invalid("repeats \(repeats) of \(node.type(x)) are too many") }
            tiled.append(product.partialValue)
        }
        try CheckedSize.check(tiled)
        // A repeated axis [d] becomes [1, d], is broadcast to [r, d] and merged again.
        var split: [Int] = []
        var spread: [Int] = []
        var repeatAxis: [Int: Int] = [:]
        for axis in shape.indices {
            if repeats[axis] != 1 {
                repeatAxis[axis] = split.count
                split.append(1)
                spread.append(repeats[axis])
            }
            split.append(shape[axis])
            spread.append(shape[axis])
        }
        let apart = try node.builder.view(x, split)
        let repeated = try node.builder.broadcast(apart, to: spread)
        let batch = BatchRepetition.tiledAxis(repeats, of: tiled, in: node).flatMap { repeatAxis[$0] }
        BatchRepetition.mark(repeated, axis: batch, unlike: apart, in: &node.builder)
        return [try node.builder.view(repeated, tiled)]
    }
}
