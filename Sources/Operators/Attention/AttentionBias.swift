import Kernels
import TensorGraph

/// What is added to the scores before the softmax: the mask, and -infinity where a query must not see a key.
struct AttentionBias {
    /// Broadcasts to [B, H, queries, keys]; nil if nothing is added.
    let value: ValueID?
    /// `value`, with zeros in the rows of queries that see no key: a softmax of -infinities would be NaN, and so would
    /// every gradient behind it.
    let unmasked: ValueID?
    /// True for the queries that see no key: [..., queries, 1]; nil if there is none.
    private let maskedRows: ValueID?

    /// - Parameter scores: shape of the scores, [B, H, queries, keys].
    init(scores: [Int], _ cache: AttentionCache, in node: inout Expansion) throws(GraphError) {
        value = try Self.bias(scores, cache, &node)
        guard let value else {
            (unmasked, maskedRows) = (nil, nil)
            return
        }
        let shape = node.shape(value)
        guard broadcastedShape([scores, shape]) == scores else {
            throw .invalid("a mask of shape \(shape) does not broadcast to scores of \(scores)")
        }
        let greatest = try node.emit(Reduction(.max, axes: [shape.count - 1], keepsAxes: true), value)
        let isMasked = try node.builder.compare(.equal, greatest, node.scalar(-.infinity))
        if let known = node.builder.constant(isMasked), !known.int64Values.contains(1) {
            (unmasked, maskedRows) = (value, nil)
            return
        }
        maskedRows = isMasked
        unmasked = try node.builder.select(isMasked, node.scalar(0), value)
    }

    /// [B, H, queries, ...] with zeros for queries that see no key.
    func clearingMaskedRows(of rows: ValueID, in node: inout Expansion) throws(GraphError) -> ValueID {
        guard let maskedRows else { return rows }
        return try node.builder.select(maskedRows, node.scalar(0), rows)
    }

    private static func bias(_ scores: [Int], _ cache: AttentionCache, _ node: inout Expansion) throws(GraphError)
        -> ValueID?
    {
        var conditions = try AttentionWindow(node).conditions(queries: scores[2], keys: scores[3], cache, in: &node)
        var added: ValueID?
        if let mask = node.optionalInput(3) {
            let mask = try padded(mask, keys: scores[3], in: &node)
            if node.type(mask).elementType == .bool { conditions.append(mask) } else { added = mask }
        }
        guard var isSeen = conditions.first else { return added }
        for condition in conditions.dropFirst() { isSeen = try node.builder.logical(.and, isSeen, condition) }
        return try node.builder.select(isSeen, added ?? node.scalar(0), node.scalar(-.infinity))
    }

    /// A mask may name fewer keys than there are; the others are hidden. Before version 24, which says so, a single
    /// column stands for all keys, as in any broadcast.
    private static func padded(_ mask: ValueID, keys: Int, in node: inout Expansion) throws(GraphError) -> ValueID {
        let shape = node.shape(mask)
        guard let last = shape.last, last < keys, last > 1 || node.version >= 24 else { return mask }
        var after = shape.map { _ in 0 }
        after[shape.count - 1] = keys - last
        let hidden =
            node.type(mask).elementType == .bool ? node.constant(Constant([false], shape: [])) : node.scalar(-.infinity)
        return try node.emit(Padding(mode: nil, before: shape.map { _ in 0 }, after: after), mask, hidden)
    }
}
