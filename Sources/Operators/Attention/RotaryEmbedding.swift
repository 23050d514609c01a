import TensorGraph

/// ONNX `RotaryEmbedding`: pairs of features are rotated by angles that grow with the position (Su et al. 2021).
enum RotaryEmbedding {
    static let all: [any OperatorPlugin] = [StandardOperator("RotaryEmbedding", since: 23, expand: rotate)]

    /// (x1 cos - x2 sin, x1 sin + x2 cos) for the first `rotary_embedding_dim` features of each head; the others stay.
    @Sendable
    static func rotate(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let input = try node.input(0)
        let shape = node.shape(input)
        let (x, headAxis) = try split(input, in: &node)
        let features = node.shape(x)[3]
        let requested = try node.int("rotary_embedding_dim", default: 0)
        let rotated = requested == 0 ? features : requested
        guard (0...features).contains(rotated), rotated % 2 == 0 else {
            throw .invalid("\(rotated) features cannot be rotated in pairs in heads of \(features)")
        }
        // Samples, positions and pairs; all heads share them.
        var table = node.shape(x)
        table.remove(at: headAxis)
        table[2] = rotated / 2
        let cos = try cache(1, table, headAxis, in: &node)
        let sin = try cache(2, table, headAxis, in: &node)

        let pairs = try FeaturePairs(isInterleaved: try node.flag("interleaved"), shape: node.shape(x), rotated)
        let (first, second) = try pairs.split(try node.builder.slice(x, axis: 3, 0..<rotated), in: &node)
        let real = try node.builder.subtract(
            try node.builder.multiply(first, cos), try node.builder.multiply(second, sin))
        let imaginary = try node.builder.add(
            try node.builder.multiply(first, sin), try node.builder.multiply(second, cos))
        var result = try pairs.join(real, imaginary, in: &node)
        if rotated < features {
            let rest = try node.builder.slice(x, axis: 3, rotated..<features)
            result = try node.builder.concatenate([result, rest], axis: 3)
        }
        return [try node.builder.view(result, shape)]
    }

    /// The input with an axis for its heads, [B, H, T, D] or [B, T, H, D], and which axis that is.
    private static func split(_ input: ValueID, in node: inout Expansion) throws(GraphError) -> (ValueID, headAxis: Int)
    {
        let shape = node.shape(input)
        if shape.count == 4 { return (input, 1) }
        guard shape.count == 3, let heads = try node.int("num_heads"), heads > 0, shape[2] % heads == 0 else {
            throw .invalid(
                "attribute num_heads must divide the features of an input of rank 3, which has shape \(shape)")
        }
        return (try node.builder.view(input, [shape[0], shape[1], heads, shape[2] / heads]), 2)
    }

    /// Cosines or sines (input `index`) of `table` = [B, T, pairs], or the same for all samples, with an axis of one
    /// entry for the heads.
    private static func cache(_ index: Int, _ table: [Int], _ headAxis: Int, in node: inout Expansion)
        throws(GraphError) -> ValueID
    {
        var values = try node.input(index)
        if let positions = node.optionalInput(3) {
            guard node.shape(values).count == 2 else {
                throw .invalid(
                    "a cache (input \(index)) that positions index must have rank 2, not \(node.shape(values))")
            }
            if let known = node.builder.constant(positions) {
                try checkConstantIndices(known.intValues, size: node.shape(values)[0])
            }
            values = try node.emit(Gathering(axis: 0), values, positions)
        }
        var shape = node.shape(values)
        guard shape.count == 3, shape[0] == 1 || shape[0] == table[0], shape[1...] == table[1...] else {
            throw .invalid("cosines or sines (input \(index)) have shape \(shape), not \(table)")
        }
        shape.insert(1, at: headAxis)
        return try node.builder.view(values, shape)
    }
}

/// Which two features are rotated together: k and k + half of them, or, interleaved, 2k and 2k + 1.
private struct FeaturePairs {
    let isInterleaved: Bool
    /// [.., R / 2, 2] if interleaved, else [.., R].
    private let paired: [Int]
    private let half: [Int]

    init(isInterleaved: Bool, shape: [Int], _ rotated: Int) throws(GraphError) {
        self.isInterleaved = isInterleaved
        half = shape.dropLast() + [rotated / 2]
        paired = isInterleaved ? half + [2] : shape.dropLast() + [rotated]
    }

    func split(_ x: ValueID, in node: inout Expansion) throws(GraphError) -> (ValueID, ValueID) {
        let x = try node.builder.view(x, paired)
        let axis = paired.count - 1
        let middle = paired[axis] / 2
        return (
            try node.builder.view(try node.builder.slice(x, axis: axis, 0..<middle), half),
            try node.builder.view(try node.builder.slice(x, axis: axis, middle..<paired[axis]), half)
        )
    }

    func join(_ first: ValueID, _ second: ValueID, in node: inout Expansion) throws(GraphError) -> ValueID {
        var parts = [first, second]
        if isInterleaved {
            for index in parts.indices { parts[index] = try node.builder.view(parts[index], half + [1]) }
        }
        let joined = try node.builder.concatenate(parts, axis: paired.count - 1)
        return try node.builder.view(joined, Array(half.dropLast()) + [2 * half[half.count - 1]])
    }
}
