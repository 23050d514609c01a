import Kernels
import Operators
import TensorGraph

/// Parameters that meet other parameters or constants before they meet data.
extension PrivateModel {
    static let arithmetic = [
        partlyFrozen, joinedWithItself, parts, overlappingParts, reordered, reorderedOverlap, relativePositions,
        weightNorm, lowRank,
    ]

    /// A joined bias whose middle third is a constant, as where keys have no bias.
    static let partlyFrozen = PrivateModel(
        name: "constant inside a joined bias", inputs: [.floats("x") { [$0, 3, 4] }, .floats("y") { [$0, 3, 6] }],
        parameters: [("w", [4, 6]), ("bq", [2]), ("bv", [2])], layers: [["w", "bq", "bv"]]
    ) { builder, values throws(GraphError) in
        let zeros = builder.addConstant(Constant([0, 0] as [Float]))
        let bias = try builder.concatenate([values["bq"]!, zeros, values["bv"]!], axis: 0)
        let hidden = try builder.unary(.tanh, try builder.linear(values["x"]!, values["w"], bias))
        return try builder.squaredLoss(hidden, values["y"], axes: [1, 2])
    }

    /// A vector joined with itself, and used alone as well.
    static let joinedWithItself = PrivateModel(
        name: "joined with itself", inputs: [.floats("x") { [$0, 3, 4] }, .floats("y") { [$0, 3, 4] }],
        parameters: [("a", [2]), ("b", [1])], layers: [["a", "b"]]
    ) { builder, values throws(GraphError) in
        let twice = try builder.concatenate([values["a"]!, values["a"]!], axis: 0)
        let mixed = try builder.concatenate([values["b"]!, values["a"]!, values["b"]!], axis: 0)
        let hidden = try builder.unary(.tanh, try builder.multiply(values["x"]!, twice))
        return try builder.squaredLoss(try builder.multiply(hidden, mixed), values["y"], axes: [1, 2])
    }

    /// A projection stored in one tensor of which queries and keys use their own parts (PyTorch's cross-attention).
    static let parts = PrivateModel(
        name: "parts of one tensor",
        inputs: [.floats("x") { [$0, 2, 4] }, .floats("z") { [$0, 3, 4] }, .floats("y") { [$0, 2, 3] }],
        parameters: [("w", [6, 4]), ("b", [6])], layers: [["w", "b"]]
    ) { builder, values throws(GraphError) in
        var projected: [ValueID] = []
        for (name, rows) in [("x", 0..<3), ("z", 3..<6)] {
            let weight = try builder.transpose(try builder.slice(values["w"]!, axis: 0, rows), [1, 0])
            let bias = try builder.slice(values["b"]!, axis: 0, rows)
            projected.append(try builder.linear(values[name]!, weight, bias))
        }
        let scores = try builder.matmul(projected[0], projected[1], transposingRight: true)
        return try builder.squaredLoss(try builder.unary(.tanh, scores), values["y"], axes: [1, 2])
    }

    /// Overlapping rows of a weight at two places, and all of it at a third.
    static let overlappingParts = PrivateModel(
        name: "overlapping parts", inputs: [.floats("x") { [$0, 3, 4] }, .floats("y") { [$0, 3, 3] }],
        parameters: [("w", [5, 4])], layers: [["w"]]
    ) { builder, values throws(GraphError) in
        let w = values["w"]!
        let first = try builder.matmul(values["x"]!, try builder.slice(w, axis: 0, 0..<3), transposingRight: true)
        let second = try builder.matmul(values["x"]!, try builder.slice(w, axis: 0, 2..<5), transposingRight: true)
        let third = try builder.sum(
            try builder.matmul(values["x"]!, w, transposingRight: true), axes: [2], keepingAxes: true)
        let sum = try builder.add(try builder.unary(.tanh, first), try builder.multiply(second, third))
        return try builder.squaredLoss(sum, values["y"], axes: [1, 2])
    }

    /// Blocks of a weight in another order, as where exporters sort the gates of recurrent layers.
    static let reordered = blocks("reordered blocks", [4..<6, 0..<2, 2..<4])
    /// Two of the blocks have a row in common.
    static let reorderedOverlap = blocks("reordered blocks that overlap", [4..<6, 0..<3, 2..<3])

    private static func blocks(_ name: String, _ rows: [Range<Int>]) -> PrivateModel {
        PrivateModel(
            name: name, inputs: [.floats("x") { [$0, 3, 4] }, .floats("y") { [$0, 3, 6] }],
            parameters: [("w", [6, 4])], layers: [["w"]]
        ) { builder, values throws(GraphError) in
            var blocks: [ValueID] = []
            for rows in rows { blocks.append(try builder.slice(values["w"]!, axis: 0, rows)) }
            let weight = try builder.concatenate(blocks, axis: 0)
            let hidden = try builder.matmul(values["x"]!, weight, transposingRight: true)
            return try builder.squaredLoss(try builder.unary(.tanh, hidden), values["y"], axes: [1, 2])
        }
    }

    /// A table of biases read at constant places, some of them several times (Swin's relative positions).
    static let relativePositions = PrivateModel(
        name: "relative positions", inputs: [.floats("x") { [$0, 3, 4] }, .floats("y") { [$0, 3, 4] }],
        parameters: [("table", [5, 2])], layers: [["table"]]
    ) { builder, values throws(GraphError) in
        let places = builder.addConstant(Constant([2, 1, 0, 3, 2, 1, 4, 3, 2] as [Int64], shape: [3, 3]))
        let read = try builder.emit(Gathering(axis: 0), values["table"]!, places)
        let bias = try builder.transpose(read, [2, 0, 1])
        let x = try builder.transpose(try builder.view(values["x"]!, [builder.batchSize, 3, 2, 2]), [0, 2, 1, 3])
        let scores = try builder.add(try builder.matmul(x, x, transposingRight: true), bias)
        let mixed = try builder.matmul(try builder.emit(Softmax(.softmax, axis: 3), scores), x)
        let merged = try builder.view(try builder.transpose(mixed, [0, 2, 1, 3]), [builder.batchSize, 3, 4])
        return try builder.squaredLoss(merged, values["y"], axes: [1, 2])
    }

    /// w = g v / ||v|| (Salimans and Kingma 2016), row by row.
    static let weightNorm = PrivateModel(
        name: "weight norm", inputs: [.floats("x") { [$0, 3, 4] }, .floats("y") { [$0, 3, 5] }],
        parameters: [("v", [5, 4]), ("g", [5, 1]), ("b", [5])], layers: [["v", "g", "b"]]
    ) { builder, values throws(GraphError) in
        let square = try builder.sum(try builder.unary(.square, values["v"]!), axes: [1], keepingAxes: true)
        let direction = try builder.divide(values["v"]!, try builder.unary(.sqrt, square))
        let weight = try builder.multiply(direction, values["g"]!)
        let product = try builder.matmul(values["x"]!, weight, transposingRight: true)
        let hidden = try builder.unary(.tanh, try builder.add(product, values["b"]!))
        return try builder.squaredLoss(hidden, values["y"], axes: [1, 2])
    }

    /// A frozen weight plus a trainable one of low rank (Hu et al. 2022).
    static let lowRank = PrivateModel(
        name: "low rank", inputs: [.floats("x") { [$0, 3, 4] }, .floats("y") { [$0, 3, 5] }],
        parameters: [("a", [4, 2]), ("b", [2, 5])], layers: [["a", "b"]]
    ) { builder, values throws(GraphError) in
        let frozen = builder.addConstant(Constant((0..<20).map { Float($0 % 7) / 7 - 0.4 }, shape: [4, 5]))
        let update = try builder.unary(
            .affine(scale: 0.5, offset: 0), try builder.matmul(values["a"]!, values["b"]!))
        let hidden = try builder.matmul(values["x"]!, try builder.add(frozen, update))
        return try builder.squaredLoss(try builder.unary(.tanh, hidden), values["y"], axes: [1, 2])
    }
}
