import Kernels
import Operators
import TensorGraph

extension PrivateModel {
    /// Attention as exporters spell it out: every one of these is computed by a single node.
    static let attentions = [dynamoAttention, packedAttention, paddedAttention, crossAttention]

    private static let projections = [("wi", [6, 12]), ("bi", [12]), ("wo", [4, 3])]

    /// PyTorch's dynamo exporter: three slices of one projection, keys transposed in three axes, queries and keys both
    /// scaled, a causal mask copied for each sample, and zeros for a query that sees no key, here the first one.
    static let dynamoAttention = PrivateModel(
        name: "attention of the dynamo exporter", inputs: [.floats("x") { [$0, 5, 6] }, .labels(classes: 3)],
        parameters: projections, layers: [["wi", "bi"], ["wo"]]
    ) { builder, values throws(GraphError) in
        let batch = builder.batchSize
        let joined = try builder.linear(values["x"]!, values["wi"], values["bi"])
        var heads: [ValueID] = []
        for part in 0..<3 {
            let own = try builder.slice(joined, axis: 2, 4 * part..<4 * part + 4)
            heads.append(try builder.transpose(try builder.view(own, [batch, 5, 2, 2]), [0, 2, 1, 3]))
        }
        let flat = try builder.transpose(try builder.view(heads[1], [batch * 2, 5, 2]), [0, 2, 1])
        let key = try builder.multiply(try builder.view(flat, [batch, 2, 2, 5]), builder.scalar(0.8))
        let query = try builder.multiply(heads[0], builder.scalar(0.8))
        let seen = (0..<25).map { $0 % 5 <= $0 / 5 && $0 / 5 > 0 }
        let everywhere = try builder.broadcast(
            builder.addConstant(Constant(seen, shape: [1, 1, 5, 5])), to: [batch, 1, 5, 5])
        let mask = try builder.select(everywhere, builder.scalar(0), builder.scalar(-.infinity))
        let scores = try builder.add(try builder.matmul(query, key), mask)
        let probabilities = try builder.emit(Softmax(.softmax, axis: 3), scores)
        let cleared = try builder.select(
            try builder.emit(FloatTest(.isNaN), probabilities), builder.scalar(0), probabilities)
        let mixed = try builder.matmul(cleared, heads[2])
        let merged = try builder.view(try builder.transpose(mixed, [0, 2, 1, 3]), [batch, 5, 4])
        let pooled = try builder.mean(try builder.unary(.tanh, merged), axes: [1])
        return try builder.classLoss(try builder.matmul(pooled, values["wo"]!), values["y"])
    }

    /// timm's: one projection to [B, T, 3, H, D], its parts taken after a transposition, and no mask.
    static let packedAttention = PrivateModel(
        name: "attention of a packed projection", inputs: [.floats("x") { [$0, 4, 6] }, .labels(classes: 3)],
        parameters: projections, layers: [["wi", "bi"], ["wo"]]
    ) { builder, values throws(GraphError) in
        let batch = builder.batchSize
        let joined = try builder.linear(values["x"]!, values["wi"], values["bi"])
        let packed = try builder.transpose(try builder.view(joined, [batch, 4, 3, 2, 2]), [2, 0, 3, 1, 4])
        var parts: [ValueID] = []
        for part in 0..<3 {
            parts.append(
                try builder.view(try builder.slice(packed, axis: 0, part..<part + 1), [batch, 2, 4, 2]))
        }
        let scores = try builder.unary(
            .affine(scale: 0.7, offset: 0), try builder.matmul(parts[0], parts[1], transposingRight: true))
        let mixed = try builder.matmul(try builder.emit(Softmax(.softmax, axis: 3), scores), parts[2])
        let merged = try builder.view(try builder.transpose(mixed, [0, 2, 1, 3]), [batch, 4, 4])
        let pooled = try builder.mean(try builder.unary(.tanh, merged), axes: [1])
        return try builder.classLoss(try builder.matmul(pooled, values["wo"]!), values["y"])
    }

    /// PyTorch's MultiheadAttention: heads and samples on one axis, a mask of each sample's keys and a bias, both
    /// from data.
    static let paddedAttention = PrivateModel(
        name: "attention with padding",
        inputs: [.floats("x") { [$0, 4, 6] }, .labels(classes: 3)],
        parameters: [("wq", [6, 4]), ("wk", [6, 4]), ("bv", [4]), ("wv", [6, 4]), ("wo", [4, 3])],
        layers: [["wq"], ["wk"], ["wv", "bv"], ["wo"]]
    ) { builder, values throws(GraphError) in
        let batch = builder.batchSize
        var parts: [ValueID] = []
        for name in ["wq", "wk", "wv"] {
            var own = try builder.matmul(values["x"]!, values[name]!)
            if name == "wv" { own = try builder.add(own, values["bv"]!) }
            let heads = try builder.transpose(try builder.view(own, [batch, 4, 2, 2]), [0, 2, 1, 3])
            parts.append(try builder.view(heads, [batch * 2, 4, 2]))
        }
        let products = try builder.view(
            try builder.matmul(parts[0], parts[1], transposingRight: true), [batch, 2, 4, 4])
        let x = values["x"]!
        let isPadding = try builder.compare(
            .less, try builder.view(try builder.slice(x, axis: 2, 5..<6), [batch, 1, 1, 4]), builder.scalar(-0.2))
        let biased = try builder.add(
            products, try builder.view(try builder.slice(x, axis: 2, 0..<4), [batch, 1, 4, 4]))
        let scores = try builder.select(isPadding, builder.scalar(-2), biased)
        let probabilities = try builder.view(
            try builder.emit(Softmax(.softmax, axis: 3), scores), [batch * 2, 4, 4])
        let mixed = try builder.view(try builder.matmul(probabilities, parts[2]), [batch, 2, 4, 2])
        let merged = try builder.view(try builder.transpose(mixed, [0, 2, 1, 3]), [batch, 4, 4])
        let pooled = try builder.mean(try builder.unary(.tanh, merged), axes: [1])
        return try builder.classLoss(try builder.matmul(pooled, values["wo"]!), values["y"])
    }

    /// Other positions and widths of values than of queries; the output keeps its heads apart.
    static let crossAttention = PrivateModel(
        name: "attention to another sequence",
        inputs: [.floats("x") { [$0, 2, 3] }, .floats("context") { [$0, 4, 3] }, .labels(classes: 3)],
        parameters: [("wq", [3, 4]), ("wk", [3, 4]), ("wv", [3, 6]), ("wo", [6, 3])],
        layers: [["wq"], ["wk"], ["wv"], ["wo"]]
    ) { builder, values throws(GraphError) in
        let batch = builder.batchSize
        var parts: [ValueID] = []
        for (name, input, shape) in [
            ("wq", "x", [2, 2, 2]), ("wk", "context", [4, 2, 2]), ("wv", "context", [4, 2, 3]),
        ] {
            let own = try builder.matmul(values[input]!, values[name]!)
            parts.append(try builder.transpose(try builder.view(own, [batch] + shape), [0, 2, 1, 3]))
        }
        let scores = try builder.matmul(
            parts[0], try builder.unary(.affine(scale: 0.5, offset: 0), parts[1]), transposingRight: true)
        let mixed = try builder.matmul(try builder.emit(Softmax(.softmax, axis: 3), scores), parts[2])
        let pooled = try builder.mean(try builder.unary(.tanh, mixed), axes: [2])
        let features = try builder.view(pooled, [batch, 6])
        return try builder.classLoss(try builder.matmul(features, values["wo"]!), values["y"])
    }
}
