import Kernels
import TensorGraph

/// `GroupQueryAttention` of the domain `com.microsoft`: attention whose query heads share keys and values (Ainslie et
/// al. 2023), with rotation, a window, and a cache that may be filled differently far for each sample.
///
/// Inputs: query [B, S, N * D], or queries, keys and values packed; key and value [B, S, K * D]; past key and value
/// [B, K, P, D]; how many keys each sample has after this call, less one [B]; the greatest such number [1].
enum GroupQueryAttention {
    static let all: [any OperatorPlugin] = [
        StandardOperator(
            "GroupQueryAttention", since: 1, domain: "com.microsoft", structuralInputs: [6], expand: expand)
    ]

    @Sendable
    private static func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        try refuseCompressedCaches(node)
        guard let queryHeads = try node.int("num_heads"), let keyHeads = try node.int("kv_num_heads"), keyHeads > 0,
            queryHeads > 0, queryHeads % keyHeads == 0
        else { throw .invalid("attribute num_heads must be a multiple of kv_num_heads") }
        let heads = AttentionHeads(query: queryHeads, key: keyHeads)
        var (query, key, value) = try unpacked(&node, heads)
        (query, key) = try normalized(query, key, in: &node)
        let cache = try FilledCache(&node, new: node.shape(key))
        if try node.flag("do_rotary") {
            query = try rotated(query, cache, in: &node)
            key = try rotated(key, cache, in: &node)
        }
        let presentKey = try cache.joined(cache.pastKey, key, in: &node)
        let presentValue = try cache.joined(cache.pastValue, value, in: &node)

        let given = try node.float("scale", default: 0)
        let scale = given == 0 ? 1 / Float(max(1, node.shape(query)[3])).squareRoot() : given
        let seenKey = try node.builder.slice(presentKey, axis: 2, 0..<cache.totalLength)
        let seenValue = try node.builder.slice(presentValue, axis: 2, 0..<cache.totalLength)
        let scaled = try node.builder.unary(.affine(scale: scale, offset: 0), query)
        var scores = try heads.grouped(scaled, in: &node) { query, builder throws(GraphError) in
            try builder.matmul(query, seenKey, transposingRight: true)
        }
        scores = try AttentionOperators.softcapped(scores, try node.float("softcap", default: 0), in: &node)
        if let bias = node.optionalInput(10) {
            guard broadcastedShape([node.shape(scores), node.shape(bias)]) == node.shape(scores) else {
                throw .invalid("a bias of shape \(node.shape(bias)) does not broadcast to \(node.shape(scores))")
            }
            scores = try node.builder.add(scores, bias)
        }
        if let isSeen = try cache.visibility(in: &node) {
            scores = try node.builder.select(isSeen, scores, node.scalar(-.infinity))
        }
        let probabilities = try probabilities(scores, in: &node)
        let result = try heads.grouped(probabilities, in: &node) { weights, builder throws(GraphError) in
            try builder.matmul(weights, seenValue)
        }
        let outputs = [try heads.join(result, in: &node), presentKey, presentValue]
        switch try node.int("qk_output", default: 0) {
        case 0: return outputs
        case 2: return outputs + [probabilities]
        default: throw .unsupported("its output of scores before the softmax is not implemented")
        }
    }

    private static func refuseCompressedCaches(_ node: Expansion) throws(GraphError) {
        if try node.flag("sliding_window_cache") {
            throw .unsupported("a cache that drops old keys (sliding_window_cache) is not implemented")
        }
        for name in ["k_quant_type", "v_quant_type"] {
            let type = try node.string(name) ?? "NONE"
            guard type == "NONE" else { throw .unsupported("a quantized cache (\(name) = \(type)) is not implemented") }
        }
    }

    /// Queries [B, N, S, D], keys and values [B, K, S, D].
    private static func unpacked(_ node: inout Expansion, _ heads: AttentionHeads) throws(GraphError) -> (
        ValueID, ValueID, ValueID
    ) {
        let query = try node.input(0)
        let shape = node.shape(query)
        guard shape.count == 3 else {
            throw .invalid("its query is \(node.type(query)), not [batch, length, features]")
        }
        var parts = [query]
        if let key = node.optionalInput(1), let value = node.optionalInput(2) {
            guard node.shape(key).count == 3, node.shape(value).count == 3 else {
                throw .invalid("its key and value are \(node.type(key)) and \(node.type(value)), not of rank 3")
            }
            guard node.shape(key)[..<2] == shape[..<2], node.shape(value)[..<2] == shape[..<2] else {
                throw .unsupported("keys of another length than the queries are not implemented")
            }
            parts += [key, value]
        } else {
            guard node.optionalInput(1) == nil, node.optionalInput(2) == nil else {
                throw .invalid("key and value (inputs 1 and 2) go together; one of them is missing")
            }
            guard shape[2] % (heads.query + 2 * heads.key) == 0 else {
                throw .invalid("\(shape[2]) features do not divide into \(heads.query) + 2 * \(heads.key) heads")
            }
            let width = shape[2] / (heads.query + 2 * heads.key)
            let (first, second) = (heads.query * width, (heads.query + heads.key) * width)
            parts = [
                try node.builder.slice(query, axis: 2, 0..<first),
                try node.builder.slice(query, axis: 2, first..<second),
                try node.builder.slice(query, axis: 2, second..<shape[2]),
            ]
        }
        for (part, count) in zip(parts, [heads.query, heads.key, heads.key]) where node.shape(part)[2] % count != 0 {
            throw .invalid("\(node.shape(part)[2]) features do not divide into \(count) heads")
        }
        let query4 = try heads.split(parts[0], heads.query, in: &node)
        let key = try heads.split(parts[1], heads.key, in: &node)
        let value = try heads.split(parts[2], heads.key, in: &node)
        guard node.shape(query4)[3] == node.shape(key)[3] else {
            throw .invalid("heads of queries and keys differ: \(node.shape(query4)) and \(node.shape(key))")
        }
        return (query4, key, value)
    }

    /// Root-mean-square normalisation of every head's query and key, where weights for it are given.
    private static func normalized(_ query: ValueID, _ key: ValueID, in node: inout Expansion) throws(GraphError) -> (
        ValueID, ValueID
    ) {
        guard node.optionalInput(14) != nil || node.optionalInput(15) != nil else { return (query, key) }
        let shared = try node.float("qk_norm_epsilon", default: 1e-6)
        func normalized(_ x: ValueID, _ weight: Int, _ epsilon: String) throws(GraphError) -> ValueID {
            let operation = RowNormalization(
                axis: 3, isCentered: false, epsilon: try node.float(epsilon, default: shared))
            let rows = try node.builder.emitAll(operation, [x])[0]
            return try node.scaled(rows, by: try node.input(weight), adding: nil)
        }
        return (try normalized(query, 14, "q_norm_epsilon"), try normalized(key, 15, "k_norm_epsilon"))
    }

    private static func rotated(_ x: ValueID, _ cache: FilledCache, in node: inout Expansion) throws(GraphError)
        -> ValueID
    {
        let (cosines, sines) = (try node.input(7), try node.input(8))
        guard node.shape(cosines).count == 2 else { throw .invalid("its cosines (input 7) have not rank 2") }
        let positions = try cache.rotaryPositions(node.optionalInput(9), in: &node)
        let rotation = ImportedNode(
            name: node.node.name, operatorType: node.node.operatorType, opsetVersion: node.version, inputs: [],
            outputs: [],
            attributes: [
                "rotary_embedding_dim": .int(2 * node.shape(cosines)[1]),
                "interleaved": .int(try node.int("rotary_interleaved", default: 0)),
            ])
        var inner = Expansion(
            node: rotation, inputs: [x, cosines, sines, positions], builder: node.builder, referenceOutputShapes: [])
        let result = try RotaryEmbedding.rotate(&inner)[0]
        node.builder = inner.builder
        return result
    }

    /// The softmax over the keys; with a sink z, as if there were one more key of that score and value zero:
    /// softmax(s) sigmoid(log sum exp(s) - z).
    private static func probabilities(_ scores: ValueID, in node: inout Expansion) throws(GraphError) -> ValueID {
        let heads = node.shape(scores)[1]
        let weights = try node.emit(Softmax(.softmax, axis: 3), scores)
        let sink: ValueID
        if let given = node.optionalInput(11) {
            guard node.shape(given) == [heads] else { throw .invalid("head_sink (input 11) is \(node.type(given))") }
            sink = try node.builder.view(given, [heads, 1, 1])
        } else if try node.int("smooth_softmax", default: 0) > 0 {
            sink = node.scalar(0)
        } else {
            return weights
        }
        let total = try node.emit(Reduction(.logSumExp, axes: [3], keepsAxes: true), scores)
        let share = try node.builder.unary(.sigmoid, try node.builder.subtract(total, sink))
        return try node.builder.multiply(weights, share)
    }
}
