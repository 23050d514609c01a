import Kernels
import TensorGraph

/// ONNX `LinearAttention`: a state of outer products of keys and values, read by queries, step by step.
///
/// The rules are those of linear attention (Katharopoulos et al. 2020), gated linear attention (Yang et al. 2024) and
/// the gated delta rule (Yang, Kautz and Hatamizadeh 2025).
enum LinearAttention {
    static let all: [any OperatorPlugin] = [StandardOperator("LinearAttention", since: 27, expand: expand)]

    @Sendable
    private static func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let shapes = [node.shape(try node.input(0)), node.shape(try node.input(1)), node.shape(try node.input(2))]
        guard let queryHeads = try node.int("q_num_heads"), let heads = try node.int("kv_num_heads"),
            shapes.allSatisfy({ $0.count == 3 && $0[..<2] == shapes[0][..<2] }), heads > 0, queryHeads > 0,
            queryHeads % heads == 0, shapes[0][2] % queryHeads == 0, shapes[1][2] % heads == 0,
            shapes[2][2] % heads == 0,
            shapes[0][2] / queryHeads == shapes[1][2] / heads
        else { throw .invalid("attributes q_num_heads and kv_num_heads must divide the features of \(shapes)") }
        let rule = try node.string("update_rule") ?? "gated_delta"
        guard ["linear", "gated", "delta", "gated_delta"].contains(rule) else {
            throw .invalid("update_rule '\(rule)' does not exist")
        }
        let (batch, steps) = (shapes[0][0], shapes[0][1])
        let (keyWidth, valueWidth) = (shapes[1][2] / heads, shapes[2][2] / heads)
        let shared = queryHeads / heads
        let given = try node.float("scale", default: 0)
        let scale = given == 0 ? 1 / Float(max(1, keyWidth)).squareRoot() : given
        // Query heads that share a state are rows of one matrix.
        let query = try node.builder.view(
            try node.builder.unary(.affine(scale: scale, offset: 0), try node.input(0)),
            [batch, steps, heads, shared, keyWidth])
        let key = try node.builder.view(try node.input(1), [batch, steps, heads, 1, keyWidth])
        let value = try node.builder.view(try node.input(2), [batch, steps, heads, 1, valueWidth])
        let decay = try rule.hasPrefix("gated") ? decay(&node, [batch, steps, heads], keyWidth) : nil
        let rate = try rule.hasSuffix("delta") ? rate(&node, [batch, steps, heads]) : nil

        var state: ValueID
        if let past = node.optionalInput(3) {
            guard node.shape(past) == [batch, heads, keyWidth, valueWidth] else {
                throw .invalid("a past_state of shape \(node.shape(past))")
            }
            state = past
        } else {
            state = node.builder.zeros([batch, heads, keyWidth, valueWidth])
        }
        func at(_ step: Int, _ value: ValueID) throws(GraphError) -> ValueID {
            let shape = node.shape(value)
            return try node.builder.view(
                try node.builder.slice(value, axis: 1, step..<step + 1), [shape[0]] + shape[2...])
        }
        var outputs: [ValueID] = []
        for step in 0..<steps {
            let (k, v) = (try at(step, key), try at(step, value))
            if let decay { state = try node.builder.multiply(state, try at(step, decay)) }
            var written = v
            if let rate {
                let read = try node.builder.matmul(k, state)
                written = try node.builder.multiply(try at(step, rate), try node.builder.subtract(v, read))
            }
            state = try node.builder.add(state, try node.builder.matmul(k, written, transposingLeft: true))
            let read = try node.builder.matmul(try at(step, query), state)
            outputs.append(try node.builder.view(read, [batch, 1, queryHeads * valueWidth]))
        }
        guard !outputs.isEmpty else { throw .unsupported("a sequence without positions") }
        return [try node.builder.concatenate(outputs, axis: 1), state]
    }

    /// exp(g) for each key feature, or one for all of a head: [B, T, H, D or 1, 1].
    private static func decay(_ node: inout Expansion, _ lead: [Int], _ keyWidth: Int) throws(GraphError) -> ValueID {
        let logarithm = try node.input(4)
        let width = node.type(logarithm).count / max(1, lead.elementCount)
        guard width == 1 || width == keyWidth, node.type(logarithm).count == lead.elementCount * width else {
            throw .invalid("a decay of shape \(node.shape(logarithm))")
        }
        return try node.builder.unary(.exp, try node.builder.view(logarithm, lead + [width, 1]))
    }

    /// [B, T, H or 1, 1, 1]
    private static func rate(_ node: inout Expansion, _ lead: [Int]) throws(GraphError) -> ValueID {
        let rate = try node.input(5)
        let shape = node.shape(rate)
        guard shape.count == 3, shape[..<2] == lead[..<2], shape[2] == 1 || shape[2] == lead[2] else {
            throw .invalid("an update rate of shape \(shape)")
        }
        return try node.builder.view(rate, shape + [1, 1])
    }
}
