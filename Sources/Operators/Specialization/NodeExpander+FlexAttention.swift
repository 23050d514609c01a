import Kernels
import TensorGraph

extension NodeExpander {
    /// `FlexAttention` of the domain `ai.onnx.preview`: prob_mod(softmax(score_mod(scale q k^T))) v, where the model
    /// gives both functions as graphs on [B, H, queries, keys]. Query heads share the heads of keys and values.
    mutating func flexAttention(
        _ node: ImportedNode, _ inputs: [ModelValue?], _ scope: NameScope, _ path: String
    ) throws(GraphError) -> [ModelValue] {
        let (query, key, value) = (try tensor(0, inputs), try tensor(1, inputs), try tensor(2, inputs))
        let shapes = [query, key, value].map { builder.shape(of: $0) }
        guard shapes.allSatisfy({ $0.count == 4 }), shapes[1][..<3] == shapes[2][..<3], shapes[0][0] == shapes[1][0],
            shapes[0][3] == shapes[1][3], shapes[1][1] > 0, shapes[0][1] % shapes[1][1] == 0
        else { throw .invalid("query, key and value of shapes \(shapes) do not belong together") }
        let (queries, keys) = (shapes[0], shapes[1])
        /// [B, H, queries, K] times something of the keys' or values' heads.
        func grouped(_ rows: ValueID, _ other: ValueID, isTransposed: Bool) throws(GraphError) -> ValueID {
            let shape = builder.shape(of: rows)
            let folded = try builder.view(rows, [shape[0], keys[1], shape[1] / keys[1] * shape[2], shape[3]])
            let product = try builder.matmul(folded, other, transposingRight: isTransposed)
            return try builder.view(product, Array(shape[..<3]) + [builder.shape(of: product)[3]])
        }
        var scale = 1 / Float(max(1, queries[3])).squareRoot()
        if case .float(let given)? = node.attributes["scale"] { scale = given }
        let scores = try modified(
            "score_mod",
            try grouped(try builder.unary(.affine(scale: scale, offset: 0), query), key, isTransposed: true),
            node, scope, path)
        let probabilities = try modified(
            "prob_mod", try builder.emitAll(Softmax(.softmax, axis: 3), [scores])[0], node, scope, path)
        return [.tensor(try grouped(probabilities, value, isTransposed: false))]
    }

    /// What the graph of an attribute makes of a value; the value itself if there is none.
    private mutating func modified(
        _ name: String, _ value: ValueID, _ node: ImportedNode, _ scope: NameScope, _ path: String
    ) throws(GraphError) -> ValueID {
        guard node.attributes[name] != nil else { return value }
        let outputs = try run(
            try body(name, of: node), [.tensor(value)], in: scope, node, run: name, path: path)
        guard outputs.count == 1, let result = outputs[0].tensor,
            builder.shape(of: result) == builder.shape(of: value)
        else { throw .invalid("its graph '\(name)' does not return one tensor of the shape that it takes") }
        return result
    }
}
