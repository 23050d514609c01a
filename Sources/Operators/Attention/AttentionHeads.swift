import TensorGraph

/// How heads lie in the inputs: an axis of their own, [B, H, T, D], or side by side in the features, [B, T, H * D].
struct AttentionHeads {
    /// Number of heads of the queries, a multiple of `key`.
    let query: Int
    /// Number of heads of keys and values.
    let key: Int
    private let isSplit: Bool

    /// Heads that lie side by side in the features.
    init(query: Int, key: Int) {
        (self.query, self.key) = (query, key)
        isSplit = false
    }

    init(_ node: Expansion) throws(GraphError) {
        let shapes = [node.shape(try node.input(0)), node.shape(try node.input(1)), node.shape(try node.input(2))]
        guard Set(shapes.map(\.count)).count == 1, [3, 4].contains(shapes[0].count) else {
            throw .invalid("query, key and value must all have rank 3 or all rank 4, not shapes \(shapes)")
        }
        isSplit = shapes[0].count == 4
        if isSplit {
            (query, key) = (shapes[0][1], shapes[1][1])
        } else {
            guard let query = try node.int("q_num_heads"), let key = try node.int("kv_num_heads"), query > 0, key > 0,
                shapes[0][2] % query == 0, shapes[1][2] % key == 0, shapes[2][2] % key == 0
            else { throw .invalid("attributes q_num_heads and kv_num_heads must divide the features of \(shapes)") }
            (self.query, self.key) = (query, key)
        }
        guard key > 0, query % key == 0 else {
            throw .invalid("\(query) query heads cannot share \(key) key and value heads")
        }
    }

    /// Checks keys and values [B, H, S, D], what was cached included.
    func checkKeys(_ key: [Int], values: [Int], query: [Int]) throws(GraphError) {
        guard key[..<3] == values[..<3], key[1] == self.key, key[0] == query[0], key[3] == query[3] else {
            throw .invalid("keys \(key) and values \(values) do not belong together and to queries \(query)")
        }
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

    /// Multiplies [B, H, T, K] by something of the keys' or values' heads: query heads that share a head stand one
    /// after the other, so that they are more rows of one matrix and no head need be repeated (Ainslie et al. 2023).
    func grouped(
        _ rows: ValueID, in node: inout Expansion,
        _ multiply: (ValueID, inout GraphBuilder) throws(GraphError) -> ValueID
    ) throws(GraphError) -> ValueID {
        let shape = node.shape(rows)
        let folded = try node.builder.view(rows, [shape[0], key, query / key * shape[2], shape[3]])
        let product = try multiply(folded, &node.builder)
        return try node.builder.view(product, [shape[0], query, shape[2], node.shape(product)[3]])
    }
}
