import Kernels
import TensorGraph

/// ONNX `DFT` and `STFT`.
enum FourierOperators {
    static let all: [any OperatorPlugin] = [
        StandardOperator("DFT", since: 17, structuralInputs: [1]) { node throws(GraphError) in
            try transform(&node, axis: try node.int("axis", default: 1))
        },
        StandardOperator("DFT", since: 20, structuralInputs: [1, 2]) { node throws(GraphError) in
            try transform(&node, axis: try node.constantInts(2, "axis")?.first ?? -2)
        },
        StandardOperator("STFT", since: 17, structuralInputs: [1, 3], expand: shortTimeTransform),
    ]

    /// x [..., n, ..., 1 or 2]: real numbers, or pairs of real and imaginary parts.
    private static func transform(_ node: inout Expansion, axis: Int) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        let axis = try normalizedAxis(axis, rank: shape.count)
        let (isInverse, isOneSided) = (try node.flag("inverse"), try node.flag("onesided"))
        guard axis < shape.count - 1, let parts = shape.last, parts == 1 || parts == 2 else {
            throw .invalid("\(node.type(x)) does not end in real, or in real and imaginary parts")
        }
        let entries = isInverse && isOneSided ? 2 * (shape[axis] - 1) : shape[axis]
        let length = try node.constantInts(1, "dft_length")?.first ?? entries
        guard length > 0 else { throw .invalid("a transform of length \(length)") }
        try CheckedSize.check(shape.dropLast() + [length])
        // The transformed axis stands in front of the parts.
        var order = (0..<shape.count - 1).filter { $0 != axis }
        order += [axis, shape.count - 1]
        let rows = try node.builder.transpose(x, order)
        let result =
            isInverse
            ? try inverse(rows, length, isOneSided, in: &node) : try forward(rows, length, isOneSided, in: &node)
        return [try node.builder.transpose(result, order.indices.map { order.firstIndex(of: $0)! })]
    }

    /// Rows [.., n, 1 or 2] to [.., length, 2] or, one-sided, [.., length / 2 + 1, 2].
    private static func forward(_ rows: ValueID, _ length: Int, _ isOneSided: Bool, in node: inout Expansion)
        throws(GraphError) -> ValueID
    {
        let result = try node.emit(
            FourierTransform(isConjugate: false), try fitted(rows, length, length, in: &node))
        if !isOneSided { return result }
        return try node.builder.slice(result, axis: node.shape(result).count - 2, 0..<length / 2 + 1)
    }

    /// Rows [.., n, 1 or 2] to [.., length, 2] or, from half a spectrum, [.., length, 1].
    private static func inverse(_ rows: ValueID, _ length: Int, _ isOneSided: Bool, in node: inout Expansion)
        throws(GraphError) -> ValueID
    {
        let axis = node.shape(rows).count - 2
        var spectrum = try node.builder.unary(.affine(scale: 1 / Float(length), offset: 0), rows)
        if isOneSided {
            // The result is real; what has a mirror image in the other half counts twice.
            let weights = (0..<node.shape(rows)[axis]).map { Float($0 == 0 || 2 * $0 == length ? 1 : 2) }
            spectrum = try node.builder.multiply(
                spectrum, node.constant(Constant(weights, shape: [weights.count, 1])))
        }
        let kept = isOneSided ? length / 2 + 1 : length
        let result = try node.emit(
            FourierTransform(isConjugate: true), try fitted(spectrum, kept, length, in: &node))
        return isOneSided ? try node.builder.slice(result, axis: axis + 1, 0..<1) : result
    }

    /// The first `kept` entries of each row, followed by zeros up to `length`, as complex numbers: [.., length, 2].
    private static func fitted(_ rows: ValueID, _ kept: Int, _ length: Int, in node: inout Expansion)
        throws(GraphError) -> ValueID
    {
        let shape = node.shape(rows)
        let axis = shape.count - 2
        let used = min(kept, shape[axis])
        let cut = try node.builder.slice(rows, axis: axis, 0..<used)
        var after = shape.map { _ in 0 }
        after[axis] = length - used
        after[axis + 1] = 2 - shape[axis + 1]
        if after.allSatisfy({ $0 == 0 }) { return cut }
        return try node.emit(Padding(mode: nil, before: shape.map { _ in 0 }, after: after), cut, node.scalar(0))
    }

    /// Frames of the signal [batch, length, 1 or 2], weighted by a window, each transformed.
    @Sendable
    private static func shortTimeTransform(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        var shape = node.shape(x)
        var signal = x
        if shape.count == 2 {
            shape.append(1)
            signal = try node.builder.view(x, shape)
        }
        guard shape.count == 3, let step = try node.constantInts(1, "frame_step")?.first, step > 0 else {
            throw .invalid("\(node.type(x)) is no signal [batch, length, 1 or 2], or its frame_step is not positive")
        }
        let window = node.optionalInput(2)
        let length = try node.constantInts(3, "frame_length")?.first ?? window.map { node.type($0).count } ?? shape[1]
        guard length > 0, length <= shape[1], window.map({ node.shape($0) == [length] }) ?? true else {
            throw .invalid("frames of \(length) entries do not fit the window or the signal \(node.type(x))")
        }
        let frames = (shape[1] - length) / step + 1
        try CheckedSize.checkConstant([frames, length])
        let places = (0..<frames * length).map { Int64($0 / length * step + $0 % length) }
        var framed = try node.emit(
            Gathering(axis: 1), signal, node.constant(Constant(places, shape: [frames, length])))
        if let window { framed = try node.builder.multiply(framed, try node.builder.view(window, [length, 1])) }
        return [try forward(framed, length, try node.flag("onesided", default: true), in: &node)]
    }
}
