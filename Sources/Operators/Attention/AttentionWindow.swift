import Kernels
import TensorGraph

/// Which keys a query may see by their positions: none behind it where attention is causal, and none farther away than
/// a window allows.
struct AttentionWindow {
    /// How many positions a key may stand before the query; nil if any number.
    private let left: Int?
    /// How many positions a key may stand behind the query; nil if any number.
    private let right: Int?

    init(_ node: Expansion) throws(GraphError) {
        func size(_ name: String) throws(GraphError) -> Int? {
            let size = try node.int(name, default: -1)
            guard size >= -1 else { throw .invalid("attribute \(name) = \(size) is less than -1") }
            return size < 0 ? nil : size
        }
        left = try size("left_window_size")
        let after = try size("right_window_size")
        right = try node.flag("is_causal") ? 0 : after
    }

    /// Truth values that all hold where a query sees a key; they broadcast to [B, H, queries, keys].
    ///
    /// The first query stands behind the cached keys: behind those handed over, or, in a buffer, at such a place that
    /// the last query is the last entry that is filled. A buffer's other entries are never seen.
    func conditions(queries: Int, keys: Int, _ cache: AttentionCache, in node: inout Expansion) throws(GraphError)
        -> [ValueID]
    {
        try CheckedSize.checkConstant([queries, keys])
        let positions = (0..<Int64(keys)).map(\.self)
        var conditions: [ValueID] = []
        if let lengths = cache.filledLengths {
            let keyPositions = node.constant(Constant(positions, shape: [1, 1, 1, keys]))
            conditions.append(try node.builder.compare(.less, keyPositions, lengths))
        }
        guard left != nil || right != nil else { return conditions }
        // Position of a key relative to the query, if the first query stood at 0.
        let distances = (0..<Int64(queries)).flatMap { query in positions.map { $0 - query } }
        let offset =
            try cache.filledLengths.map { lengths throws(GraphError) in
                try node.builder.subtract(lengths, node.builder.integer(Int64(queries)))
            } ?? node.builder.integer(Int64(cache.pastLength))
        let relative = try node.builder.subtract(node.constant(Constant(distances, shape: [queries, keys])), offset)
        if let right {
            conditions.append(
                try node.builder.compare(.lessOrEqual, relative, node.builder.integer(Int64(right))))
        }
        if let left {
            conditions.append(
                try node.builder.compare(.greaterOrEqual, relative, node.builder.integer(-Int64(left))))
        }
        return conditions
    }
}
