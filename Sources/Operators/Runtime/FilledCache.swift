import Kernels
import TensorGraph

/// Keys and values of earlier positions of which each sample may have another number, and what follows from that for
/// positions and for what a query sees.
struct FilledCache {
    let pastKey: ValueID?
    let pastValue: ValueID?
    /// Keys that there are at most after the new ones have been added.
    let totalLength: Int
    private let newLength: Int
    /// Room for keys in the joined cache.
    private let capacity: Int
    /// Number of keys that each sample has after the new ones have been added: int64 [B, 1, 1, 1].
    private let filled: ValueID
    /// Number of keys that each sample had before: int64 [B, 1, 1, 1], or a constant that holds for all.
    private let before: ValueID
    /// Whether all samples have `totalLength` keys.
    private let isFull: Bool
    /// Whether nothing came before the new keys.
    private let isFirst: Bool

    /// - Parameter new: shape of the new keys, [B, K, S, D].
    init(_ node: inout Expansion, new: [Int]) throws(GraphError) {
        newLength = new[2]
        let lengths = try node.input(5)
        guard node.type(lengths).elementType == .int64, node.type(lengths).count == new[0] else {
            throw .invalid("seqlens_k (input 5) must hold one integer per sample, not be \(node.type(lengths))")
        }
        guard let total = try node.constantInts(6, "total_sequence_length")?.first, total > 0 else {
            throw .invalid("total_sequence_length (input 6) is missing or not positive")
        }
        totalLength = total
        // A sample without keys would have no softmax; no model means that.
        let last = try node.builder.binary(
            .max, try node.builder.view(lengths, [new[0], 1, 1, 1]), node.builder.integer(0))
        filled = try node.builder.add(last, node.builder.integer(1))
        isFull = node.builder.constant(filled)?.int64Values.allSatisfy { $0 == Int64(total) } ?? false

        let past = (node.optionalInput(3), node.optionalInput(4))
        guard (past.0 == nil) == (past.1 == nil) else {
            throw .invalid("past_key and past_value (inputs 3 and 4) go together; one of them is missing")
        }
        for value in [past.0, past.1].compactMap(\.self) {
            let shape = node.shape(value)
            guard shape.count == 4, shape[0] == new[0], shape[1] == new[1] else {
                throw .invalid("a past key or value of shape \(shape) does not belong to new ones of \(new)")
            }
        }
        let pastLength = past.0.map { node.shape($0)[2] } ?? 0
        capacity = max(pastLength, total)
        // The first call of a conversation finds nothing in the cache, whatever its size.
        isFirst = node.optionalInput(16) == nil && (newLength == total || pastLength == 0)
        (pastKey, pastValue) = isFirst && pastLength <= newLength ? (nil, nil) : past
        guard !isFirst || newLength == total else {
            throw .invalid("total_sequence_length = \(total), but there are \(newLength) keys and none before them")
        }
        guard pastLength + newLength >= total else {
            throw .invalid("total_sequence_length = \(total), but there are \(pastLength) + \(newLength) keys")
        }
        if isFirst {
            before = node.builder.integer(0)
        } else if let valid = node.optionalInput(16) {
            guard node.type(valid).count == new[0], pastKey != nil, try node.flag("causal", default: true) else {
                throw .invalid("query_seqlens (input 16) needs a past, causal attention and one integer per sample")
            }
            before = try node.builder.subtract(filled, try node.builder.view(valid, [new[0], 1, 1, 1]))
        } else {
            before = try node.builder.subtract(filled, node.builder.integer(Int64(newLength)))
        }
    }

    /// The positions by which new keys and queries are rotated: those given [B, S], of which the first call of a
    /// conversation takes each sample's first and counts on from there, or else where they stand in the cache.
    func rotaryPositions(_ given: ValueID?, in node: inout Expansion) throws(GraphError) -> ValueID {
        guard let given else { return try positions(in: &node) }
        guard node.shape(given).count == 2, node.shape(given)[1] > 0 else {
            throw .invalid("position_ids (input 9) are \(node.type(given))")
        }
        guard isFirst else { return given }
        let first = try node.builder.slice(given, axis: 1, 0..<1)
        return try node.builder.add(first, try positions(in: &node))
    }

    /// Where the new keys and queries stand: int64 [B, S] or, if that is the same for all samples, [1, S].
    private func positions(in node: inout Expansion) throws(GraphError) -> ValueID {
        let own = node.constant(Constant((0..<Int64(newLength)).map(\.self), shape: [1, newLength]))
        let samples = node.type(before).count
        return try node.builder.add(try node.builder.view(before, [samples, 1]), own)
    }

    /// `new` [B, K, S, D] behind what each sample has of `past` [B, K, P, D], and zeros behind that.
    func joined(_ past: ValueID?, _ new: ValueID, in node: inout Expansion) throws(GraphError) -> ValueID {
        guard let past else { return new }
        guard node.shape(past)[3] == node.shape(new)[3] else {
            throw .invalid("a past of shape \(node.shape(past)) does not fit \(node.shape(new))")
        }
        let pastLength = node.shape(past)[2]
        let both = try node.builder.concatenate([past, new], axis: 2)
        if isFull, pastLength + newLength == totalLength { return both }
        try CheckedSize.checkConstant([capacity])
        let places = node.constant(Constant((0..<Int64(capacity)).map(\.self), shape: [1, 1, capacity, 1]))
        let moved = try node.builder.add(
            try node.builder.subtract(places, before), node.builder.integer(Int64(pastLength)))
        let isPast = try node.builder.compare(.less, places, before)
        let source = try node.builder.binary(
            .max, try node.builder.select(isPast, places, moved), node.builder.integer(0))
        let last = node.builder.integer(Int64(pastLength + newLength - 1))
        var shape = node.shape(both)
        shape[2] = capacity
        let indices = try node.builder.broadcast(try node.builder.binary(.min, source, last), to: shape)
        let gathered = try node.emit(ElementGathering(axis: 2), both, indices)
        return try node.builder.select(
            try node.builder.compare(.less, places, filled), gathered, node.scalar(0))
    }

    /// True where a query sees a key; broadcasts to [B, N, S, keys]. Nil if every query sees every key.
    func visibility(in node: inout Expansion) throws(GraphError) -> ValueID? {
        try CheckedSize.checkConstant([newLength, totalLength])
        let keys = node.constant(Constant((0..<Int64(totalLength)).map(\.self), shape: [1, 1, 1, totalLength]))
        let window = try node.int("local_window_size", default: -1)
        guard try node.flag("causal", default: true) else {
            guard window < 0 else { throw .invalid("local_window_size = \(window) without causal attention") }
            return isFull ? nil : try node.builder.compare(.less, keys, filled)
        }
        let positions = try positions(in: &node)
        // Queries that are only padding stand behind the last key; they see it, so that their softmax is defined.
        let queries = try node.builder.binary(
            .min, try node.builder.view(positions, [node.shape(positions)[0], 1, newLength, 1]),
            node.builder.integer(Int64(totalLength - 1)))
        var isSeen = try node.builder.compare(.lessOrEqual, keys, queries)
        if window > 0 {
            let first = try node.builder.subtract(queries, node.builder.integer(Int64(window)))
            isSeen = try node.builder.logical(.and, isSeen, try node.builder.compare(.greater, keys, first))
        }
        return isSeen
    }
}
