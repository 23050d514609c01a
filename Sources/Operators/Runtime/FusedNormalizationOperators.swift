import Kernels
import TensorGraph

/// Normalisations that ONNX Runtime's optimiser joins with residual additions and embeddings.
enum FusedNormalizationOperators {
    static let all: [any OperatorPlugin] =
        ["", "com.microsoft"].map { domain in
            StandardOperator("SimplifiedLayerNormalization", since: 1, domain: domain) { node throws(GraphError) in
                let x = try node.input(0)
                let axis = try normalizedAxis(try node.int("axis", default: -1), rank: node.shape(x).count)
                return try normalized(x, axis: axis, isCentered: false, scale: 1, bias: nil, in: &node).outputs
            }
        } + [
            StandardOperator("SkipLayerNormalization", since: 1, domain: "com.microsoft") { node throws(GraphError) in
                try skip(&node, isCentered: true, normBias: 3, bias: 4)
            },
            StandardOperator("SkipSimplifiedLayerNormalization", since: 1, domain: "com.microsoft") {
                node throws(GraphError) in
                try skip(&node, isCentered: false, normBias: nil, bias: 3)
            },
            StandardOperator("EmbedLayerNormalization", since: 1, domain: "com.microsoft", expand: embed),
        ]

    /// Where scale and bias are among the node's inputs.
    private static func normalized(
        _ x: ValueID, axis: Int, isCentered: Bool, scale: Int, bias: Int?, in node: inout Expansion
    ) throws(GraphError) -> (result: ValueID, outputs: [ValueID]) {
        let epsilon = try node.float("epsilon", default: 1e-5)
        let parts = try node.builder.emitAll(
            RowNormalization(axis: axis, isCentered: isCentered, epsilon: epsilon), [x])
        let addend = bias.flatMap { node.optionalInput($0) }
        let result = try node.scaled(parts[0], by: try node.input(scale), adding: addend)
        return (result, [result, parts[1]])
    }

    /// Normalises input + skip + bias; the sum is the fourth output.
    private static func skip(_ node: inout Expansion, isCentered: Bool, normBias: Int?, bias: Int) throws(GraphError)
        -> [ValueID]
    {
        let x = try node.input(0)
        var sum = try node.builder.add(x, try node.input(1))
        if let bias = node.optionalInput(bias) { sum = try node.builder.add(sum, bias) }
        guard node.shape(sum) == node.shape(x) else {
            throw .invalid("a skip of shape \(node.shape(try node.input(1))) does not broadcast to \(node.shape(x))")
        }
        let axis = node.shape(x).count - 1
        let (result, parts) = try normalized(
            sum, axis: axis, isCentered: isCentered, scale: 2, bias: normBias, in: &node)
        let mean = try node.emit(Reduction(.mean, axes: [axis], keepsAxes: true), sum)
        return [result, mean, parts[1], sum]
    }

    /// Normalises the sum of word, position and segment embeddings (Devlin et al. 2019).
    @Sendable
    private static func embed(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let ids = try node.input(0)
        let (shape, positions) = (node.shape(ids), try node.input(3))
        guard shape.count == 2, node.shape(positions).count == 2 else {
            throw .invalid("\(node.type(ids)) and \(node.type(positions)) are no word numbers and position embeddings")
        }
        var sum = try node.emit(Gathering(axis: 0), try node.input(2), ids)
        if let places = node.optionalInput(8) {
            sum = try node.builder.add(sum, try node.emit(Gathering(axis: 0), positions, places))
        } else {
            guard shape[1] <= node.shape(positions)[0] else {
                throw .invalid("\(shape[1]) words, but embeddings of \(node.shape(positions)[0]) positions")
            }
            sum = try node.builder.add(sum, try node.builder.slice(positions, axis: 0, 0..<shape[1]))
        }
        if let segments = node.optionalInput(1) {
            sum = try node.builder.add(sum, try node.emit(Gathering(axis: 0), try node.input(4), segments))
        }
        let result = try normalized(sum, axis: 2, isCentered: true, scale: 5, bias: 6, in: &node).result
        // Without a mask no word counts, as in ONNX Runtime.
        let words = try node.optionalInput(7).map { mask throws(GraphError) in try node.builder.sum(mask, axes: [1]) }
        let counts = words ?? node.constant(Constant([Int64](repeating: 0, count: shape[0])))
        return [result, counts, sum]
    }
}
