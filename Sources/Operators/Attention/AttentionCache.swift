import TensorGraph

/// Keys and values of earlier positions: handed over in inputs of their own, to be put in front of the new ones, or
/// already part of a buffer whose filled length is given for each sample.
struct AttentionCache {
    let pastKey: ValueID?
    let pastValue: ValueID?
    /// Number of positions in front of the first new one.
    let pastLength: Int
    /// For each sample the number of its buffer's entries that are filled: int64 [B, 1, 1, 1].
    let filledLengths: ValueID?

    init(_ node: inout Expansion) throws(GraphError) {
        (pastKey, pastValue) = (node.optionalInput(4), node.optionalInput(5))
        guard (pastKey == nil) == (pastValue == nil) else {
            throw .invalid("past_key (input 4) and past_value (input 5) go together; one of them is missing")
        }
        for past in [pastKey, pastValue].compactMap(\.self) where node.shape(past).count != 4 {
            throw .invalid("a past key or value of shape \(node.shape(past)) has not rank 4")
        }
        pastLength = pastKey.map { node.shape($0)[2] } ?? 0
        guard let lengths = node.optionalInput(6) else {
            filledLengths = nil
            return
        }
        let type = node.type(lengths)
        guard pastKey == nil else {
            throw .invalid("nonpad_kv_seqlen (input 6) excludes past_key and past_value (inputs 4 and 5)")
        }
        guard type.elementType == .int64, type.shape == [node.shape(try node.input(0))[0]] else {
            throw .invalid("nonpad_kv_seqlen (input 6) must hold one integer per sample, not be \(type)")
        }
        filledLengths = try node.builder.view(lengths, type.shape + [1, 1, 1])
    }

    /// `past` and, after it, `new`: [B, H, S, D].
    func joined(_ past: ValueID?, _ new: ValueID, in node: inout Expansion) throws(GraphError) -> ValueID {
        guard let past else { return new }
        return try node.builder.concatenate([past, new], axis: 2)
    }
}
