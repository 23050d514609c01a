import Kernels
import TensorGraph

/// Which keys a query may see.
struct AttentionMask {
    private let keys: Int
    /// Bool, true where a key is seen, or a float to be added; broadcasts to [B, H, queries, keys].
    private let given: ValueID?
    /// 0 where a key is seen, else -infinity: [queries, keys].
    private let causal: Constant?

    /// - Parameter pastLength: keys that stand before the first query.
    init(_ node: Expansion, queries: Int, keys: Int, _ pastLength: Int) throws(GraphError) {
        self.keys = keys
        given = node.optionalInput(3)
        guard try node.flag("is_causal") else {
            causal = nil
            return
        }
        let bias = (0..<queries).flatMap { query in
            (0..<keys).map { key in key <= query + pastLength ? Float(0) : -.infinity }
        }
        causal = Constant(bias, shape: [queries, keys])
    }

    func applied(to scores: ValueID, in node: inout Expansion) throws(GraphError) -> MaskedScores {
        var result = scores
        if let given {
            let mask = try padded(given, in: &node)
            if node.type(mask).elementType == .bool {
                result = try node.builder.select(mask, result, node.scalar(-.infinity))
            } else {
                result = try node.builder.add(result, mask)
            }
            guard node.shape(result) == node.shape(scores) else {
                throw .invalid(
                    "a mask of shape \(node.shape(given)) does not broadcast to scores of \(node.shape(scores))")
            }
        }
        if let causal { result = try node.builder.add(result, node.constant(causal)) }
        return MaskedScores(scores: result, mayHideAllKeys: given != nil)
    }

    /// A mask may name fewer keys than there are; the rest is hidden.
    private func padded(_ mask: ValueID, in node: inout Expansion) throws(GraphError) -> ValueID {
        var shape = node.shape(mask)
        guard let last = shape.last, last != 1, last < keys else { return mask }
        shape[shape.count - 1] = keys - last
        let hidden =
            node.type(mask).elementType == .bool
            ? Constant([Bool](repeating: false, count: shape.elementCount), shape: shape)
            : Constant([Float](repeating: -.infinity, count: shape.elementCount), shape: shape)
        return try node.builder.concatenate([mask, node.constant(hidden)], axis: shape.count - 1)
    }
}

/// Scores [B, H, queries, keys] with -infinity where a key is hidden.
struct MaskedScores {
    let scores: ValueID
    let mayHideAllKeys: Bool

    /// Softmax over the keys; all zeros for a query that sees no key.
    func probabilities(in node: inout Expansion) throws(GraphError) -> ValueID {
        let axis = 3
        guard mayHideAllKeys else { return try node.emit(Softmax(.softmax, axis: axis), scores) }
        let greatest = try node.emit(Reduction(.max, axes: [axis], keepsAxes: true), scores)
        let seesNothing = try node.builder.compare(.equal, greatest, node.scalar(-.infinity))
        let finite = try node.builder.select(seesNothing, node.scalar(0), scores)
        let probabilities = try node.emit(Softmax(.softmax, axis: axis), finite)
        return try node.builder.select(seesNothing, node.scalar(0), probabilities)
    }
}
