import Kernels
import Operators
import TensorGraph

extension PrivateModel {
    static let sequences = [sharedWeight, tiedEmbedding, attention, classToken, timeMajor]

    /// One matrix used three times, also transposed in both ways of writing it.
    static let sharedWeight = PrivateModel(
        name: "shared weight", inputs: [.floats("x") { [$0, 3, 4] }, .floats("y") { [$0, 3, 4] }],
        parameters: [("w", [4, 5])], layers: [["w"]]
    ) { builder, values throws(GraphError) in
        let w = values["w"]!
        var x = try builder.unary(.tanh, try builder.matmul(values["x"]!, w))
        x = try builder.unary(.tanh, try builder.matmul(x, w, transposingRight: true))
        x = try builder.unary(.tanh, try builder.matmul(x, w))
        x = try builder.matmul(x, try builder.transpose(w, [1, 0]))
        return try builder.squaredLoss(x, values["y"], axes: [1, 2])
    }

    /// A language model: embedding (negative indices too) tied to the head, learned positions, ignored targets.
    static let tiedEmbedding = PrivateModel(
        name: "tied embedding",
        inputs: [
            .integers("tokens", in: -5..<5) { [$0, 6] },
            Input(name: "y", kind: .targets(classes: 5), shape: { [$0, 6] }),
        ],
        parameters: [("table", [5, 4]), ("positions", [1, 6, 4]), ("scale", [4]), ("bias", [4]), ("m", [4, 4])],
        layers: [["table"], ["positions"], ["scale", "bias"], ["m"]]
    ) { builder, values throws(GraphError) in
        let table = values["table"]!
        let read = try builder.emit(Gathering(axis: 0), table, values["tokens"]!)
        let placed = try builder.add(read, values["positions"]!)
        let normalized = try builder.layerNorm(placed, axis: 2, values["scale"], values["bias"])
        let hidden = try builder.unary(.tanh, try builder.matmul(normalized, values["m"]!))
        let logits = try builder.matmul(hidden, table, transposingRight: true)
        return try builder.emit(SampleCrossEntropy(), logits, values["y"]!)
    }

    /// A transformer block with two heads, its three projections joined.
    static let attention = PrivateModel(
        name: "attention", inputs: [.floats("x") { [$0, 4, 6] }, .labels(classes: 3)],
        parameters: ["q", "k", "v"].flatMap { [("w" + $0, [6, 6]), ("b" + $0, [6])] } + [
            ("scale", [6]), ("bias", [6]), ("wo", [6, 6]), ("bo", [6]), ("head", [6, 3]),
        ],
        layers: [["scale", "bias"], ["wq", "wk", "wv", "bq", "bk", "bv"], ["wo", "bo"], ["head"]]
    ) { builder, values throws(GraphError) in
        let batch = builder.batchSize
        let x = try builder.layerNorm(values["x"]!, axis: 2, values["scale"], values["bias"])
        let weight = try builder.concatenate(["wq", "wk", "wv"].map { values[$0]! }, axis: 1)
        let bias = try builder.concatenate(["bq", "bk", "bv"].map { values[$0]! }, axis: 0)
        let joined = try builder.linear(x, weight, bias)
        var heads: [ValueID] = []
        for part in 0..<3 {
            let own = try builder.slice(joined, axis: 2, 6 * part..<6 * part + 6)
            heads.append(try builder.transpose(try builder.view(own, [batch, 4, 2, 3]), [0, 2, 1, 3]))
        }
        let scores = try builder.matmul(heads[0], heads[1], transposingRight: true)
        let scaled = try builder.unary(.affine(scale: 1 / Float(3).squareRoot(), offset: 0), scores)
        let mixed = try builder.matmul(try builder.emit(Softmax(.softmax, axis: 3), scaled), heads[2])
        let merged = try builder.view(try builder.transpose(mixed, [0, 2, 1, 3]), [batch, 4, 6])
        let output = try builder.add(values["x"]!, try builder.linear(merged, values["wo"], values["bo"]))
        let pooled = try builder.mean(try builder.unary(.gelu, output), axes: [1])
        return try builder.classLoss(try builder.matmul(pooled, values["head"]!), values["y"])
    }

    /// A class token repeated for every sample, and a normalisation over tokens and features.
    static let classToken = PrivateModel(
        name: "class token", inputs: [.floats("x") { [$0, 3, 4] }, .labels(classes: 3)],
        parameters: [
            ("w", [4, 5]), ("token", [1, 1, 5]), ("positions", [1, 4, 5]), ("scale", [4, 5]), ("bias", [4, 5]),
            ("head", [5, 3]), ("b", [3]),
        ],
        layers: [["w"], ["token"], ["positions"], ["scale", "bias"], ["head", "b"]]
    ) { builder, values throws(GraphError) in
        let patches = try builder.matmul(values["x"]!, values["w"]!)
        let token = try builder.broadcast(values["token"]!, to: [builder.batchSize, 1, 5])
        if builder.batchSize > 1 { builder.markBatched(token, BatchFactor(axis: 0)) }
        let tokens = try builder.add(try builder.concatenate([token, patches], axis: 1), values["positions"]!)
        let normalized = try builder.layerNorm(tokens, axis: 1, values["scale"], values["bias"])
        let first = try builder.view(try builder.slice(normalized, axis: 1, 0..<1), [builder.batchSize, 5])
        let pooled = try builder.multiply(first, try builder.mean(normalized, axes: [1]))
        return try builder.classLoss(try builder.linear(pooled, values["head"], values["b"]), values["y"])
    }

    /// Time before batch, parameters broadcast along time or along features, and rows of (time, sample).
    static let timeMajor = PrivateModel(
        name: "time-major",
        inputs: [.floats("x", factor: BatchFactor(axis: 1)) { [3, $0, 4] }, .floats("y") { [$0, 2] }],
        parameters: [
            ("w", [4, 5]), ("b", [5]), ("rate", [3, 1, 1]), ("offset", [3, 1, 5]), ("w2", [5, 2]), ("b2", [2]),
        ],
        layers: [["w", "b"], ["rate", "offset"], ["w2", "b2"]]
    ) { builder, values throws(GraphError) in
        let projected = try builder.linear(values["x"]!, values["w"], values["b"])
        let paced = try builder.multiply(projected, values["rate"]!)
        let hidden = try builder.unary(.tanh, try builder.add(paced, values["offset"]!))
        let rows = try builder.view(hidden, [3 * builder.batchSize, 5])
        let outputs = try builder.view(
            try builder.linear(rows, values["w2"], values["b2"]), [3, builder.batchSize, 2])
        return try builder.squaredLoss(try builder.sum(outputs, axes: [0]), values["y"], axes: [1])
    }
}
