import Kernels
import TensorGraph

/// Scaled dot-product attention (Vaswani et al. 2017) as ONNX defines it since opset 23.
enum AttentionOperators {
    static let all: [any OperatorPlugin] = [23, 24, 25].map {
        StandardOperator("Attention", since: $0, expand: attention)
    }

    /// softmax(scale q k^T, softcapped, plus bias) v, head by head.
    ///
    /// ONNX multiplies both q and k by sqrt(scale), against overflow in float16; in float32 one multiplication does.
    /// Whatever `softmax_precision` says, the softmax is computed in float32 like everything else.
    @Sendable
    private static func attention(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let heads = try AttentionHeads(node)
        let cache = try AttentionCache(&node)
        let query = try heads.split(try node.input(0), heads.query, in: &node)
        let key = try cache.joined(cache.pastKey, try heads.split(try node.input(1), heads.key, in: &node), in: &node)
        let value = try cache.joined(
            cache.pastValue, try heads.split(try node.input(2), heads.key, in: &node), in: &node)
        try heads.checkKeys(node.shape(key), values: node.shape(value), query: node.shape(query))

        let width = Float(max(node.shape(query)[3], 1))
        let scale = try node.float("scale", default: 1 / width.squareRoot())
        let scaled = try node.builder.unary(.affine(scale: scale, offset: 0), query)
        let products = try heads.grouped(scaled, in: &node) { query, builder throws(GraphError) in
            try builder.matmul(query, key, transposingRight: true)
        }
        let scores = try softcapped(products, try node.float("softcap", default: 0), in: &node)
        let bias = try AttentionBias(scores: node.shape(scores), cache, in: &node)
        let biased = try bias.unmasked.map { bias throws(GraphError) in try node.builder.add(scores, bias) } ?? scores
        let probabilities = try node.emit(Softmax(.softmax, axis: 3), biased)
        // A query that sees no key has output zero. To leave it out here is cheaper than in the probabilities.
        let result = try bias.clearingMaskedRows(
            of: try heads.grouped(probabilities, in: &node) { weights, builder throws(GraphError) in
                try builder.matmul(weights, value)
            }, in: &node)
        let outputs = [try heads.join(result, in: &node), key, value]
        guard node.names(output: 3) else { return outputs }

        switch try node.int("qk_matmul_output_mode", default: 0) {
        case 0: return outputs + [products]
        case 1: return outputs + [scores]
        case 2:
            guard let bias = bias.value else { return outputs + [scores] }
            return outputs + [try node.builder.add(scores, bias)]
        case 3: return outputs + [try bias.clearingMaskedRows(of: probabilities, in: &node)]
        case let mode: throw .invalid("attribute qk_matmul_output_mode = \(mode) is none of 0, 1, 2 and 3")
        }
    }

    /// cap tanh(scores / cap); the scores themselves for a cap of 0.
    static func softcapped(_ scores: ValueID, _ cap: Float, in node: inout Expansion) throws(GraphError)
        -> ValueID
    {
        guard cap >= 0 else { throw .invalid("attribute softcap = \(cap) is negative") }
        if cap == 0 { return scores }
        let inner = try node.builder.unary(.affine(scale: 1 / cap, offset: 0), scores)
        return try node.builder.unary(.affine(scale: cap, offset: 0), try node.builder.unary(.tanh, inner))
    }
}
