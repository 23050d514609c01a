import Kernels
import TensorGraph

/// Scaled dot-product attention (ONNX Attention-23).
enum AttentionOperators {
    static let all: [any OperatorPlugin] = [23, 24, 25].map {
        StandardOperator("Attention", since: $0, expand: attention)
    }

    /// softmax(scale q k^T, softcapped, plus mask) v, head by head.
    @Sendable
    private static func attention(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        guard node.optionalInput(6) == nil else {
            throw .unsupported("padded key and value caches (input nonpad_kv_seqlen) are not supported")
        }
        for window in ["left_window_size", "right_window_size"] where try node.int(window, default: -1) >= 0 {
            throw .unsupported("sliding windows (attribute \(window)) are not supported")
        }
        let heads = try AttentionHeads(node)
        let query = try heads.split(try node.input(0), heads.query, in: &node)
        var key = try heads.split(try node.input(1), heads.key, in: &node)
        var value = try heads.split(try node.input(2), heads.key, in: &node)
        var pastLength = 0
        if let past = node.optionalInput(4), let pastValue = node.optionalInput(5) {
            pastLength = node.shape(past)[2]
            key = try node.builder.concatenate([past, key], axis: 2)
            value = try node.builder.concatenate([pastValue, value], axis: 2)
        }
        let (presentKey, presentValue) = (key, value)
        let repeatedKey = try repeated(key, to: node.shape(query)[1], in: &node)
        let repeatedValue = try repeated(value, to: node.shape(query)[1], in: &node)

        let width = Float(node.shape(query)[3])
        let scale = try node.float("scale", default: 1 / width.squareRoot())
        let scaled = try node.builder.unary(.affine(scale: scale, offset: 0), query)
        let products = try node.builder.matmul(scaled, repeatedKey, transposingRight: true)
        let capped = try softcapped(products, try node.float("softcap", default: 0), in: &node)
        let masked = try AttentionMask(node, queries: node.shape(query)[2], keys: node.shape(key)[2], pastLength)
            .applied(to: capped, in: &node)
        let probabilities = try masked.probabilities(in: &node)
        let result = try heads.join(try node.builder.matmul(probabilities, repeatedValue), in: &node)

        let inspected: ValueID
        switch try node.int("qk_matmul_output_mode", default: 0) {
        case 0: inspected = products
        case 1: inspected = capped
        case 2: inspected = masked.scores
        case 3: inspected = probabilities
        case let mode: throw .invalid("attribute qk_matmul_output_mode is \(mode), which means nothing")
        }
        return [result, presentKey, presentValue, inspected]
    }

    /// Heads of [B, H, T, D] repeated so that each serves several query heads (grouped-query attention).
    private static func repeated(_ value: ValueID, to heads: Int, in node: inout Expansion) throws(GraphError)
        -> ValueID
    {
        let shape = node.shape(value)
        if shape[1] == heads { return value }
        guard shape[1] > 0, heads % shape[1] == 0 else {
            throw .invalid("\(heads) query heads cannot share \(shape[1]) key and value heads")
        }
        let grouped = try node.builder.view(value, [shape[0], shape[1], 1, shape[2], shape[3]])
        let copies = try node.builder.broadcast(
            grouped, to: [shape[0], shape[1], heads / shape[1], shape[2], shape[3]])
        return try node.builder.view(copies, [shape[0], heads, shape[2], shape[3]])
    }

    private static func softcapped(_ scores: ValueID, _ cap: Float, in node: inout Expansion) throws(GraphError)
        -> ValueID
    {
        if cap <= 0 { return scores }
        let inner = try node.builder.unary(.affine(scale: 1 / cap, offset: 0), scores)
        return try node.builder.unary(.affine(scale: cap, offset: 0), try node.builder.unary(.tanh, inner))
    }
}

/// How heads lie in the inputs: an axis of their own, [B, H, T, D], or side by side in the features, [B, T, H * D].
struct AttentionHeads {
    let query: Int
    let key: Int
    private let isSplit: Bool

    init(_ node: Expansion) throws(GraphError) {
        let shapes = [node.shape(try node.input(0)), node.shape(try node.input(1)), node.shape(try node.input(2))]
        guard Set(shapes.map(\.count)).count == 1, [3, 4].contains(shapes[0].count) else {
            throw .invalid("query, key and value must all have rank 3 or all rank 4, not shapes \(shapes)")
        }
        isSplit = shapes[0].count == 4
        if isSplit {
            (query, key) = (shapes[0][1], shapes[1][1])
            return
        }
        guard let query = try node.int("q_num_heads"), let key = try node.int("kv_num_heads"), query > 0, key > 0,
            shapes[0][2] % query == 0, shapes[1][2] % key == 0, shapes[2][2] % key == 0
        else { throw .invalid("attributes q_num_heads and kv_num_heads must divide the features of \(shapes)") }
        (self.query, self.key) = (query, key)
    }

    /// [B, T, H * D] as [B, H, T, D].
    func split(_ value: ValueID, _ heads: Int, in node: inout Expansion) throws(GraphError) -> ValueID {
        if isSplit { return value }
        let shape = node.shape(value)
        let split = try node.builder.view(value, [shape[0], shape[1], heads, shape[2] / heads])
        return try node.builder.transpose(split, [0, 2, 1, 3])
    }

    /// The reverse of `split`.
    func join(_ value: ValueID, in node: inout Expansion) throws(GraphError) -> ValueID {
        if isSplit { return value }
        let shape = node.shape(value)
        let joined = try node.builder.transpose(value, [0, 2, 1, 3])
        return try node.builder.view(joined, [shape[0], shape[2], shape[1] * shape[3]])
    }
}
