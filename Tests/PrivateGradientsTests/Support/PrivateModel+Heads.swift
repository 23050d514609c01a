import Kernels
import Operators
import TensorGraph

extension PrivateModel {
    /// Vocabulary heads as exporters write them.
    static let heads = [tiedEmbedding, shiftedHead, tiedTransposedHead, classesFirstHead, classHead]

    private static func hidden(_ builder: inout GraphBuilder, _ values: [String: ValueID]) throws(GraphError) -> ValueID
    {
        let read = try builder.emit(Gathering(axis: 0), values["table"]!, values["tokens"]!)
        return try builder.unary(.tanh, try builder.matmul(read, values["m"]!))
    }

    /// A head with a bias; each position's logits predict the next token, as rows of one matrix.
    static let shiftedHead = PrivateModel(
        name: "shifted head",
        inputs: [
            .integers("tokens", in: 0..<7) { [$0, 5] },
            Input(name: "y", kind: .targets(classes: 7), shape: { [$0, 4] }),
        ],
        parameters: [("table", [7, 3]), ("m", [3, 4]), ("head", [4, 7]), ("bias", [7])],
        layers: [["table"], ["m"], ["head", "bias"]]
    ) { builder, values throws(GraphError) in
        let logits = try builder.linear(try hidden(&builder, values), values["head"], values["bias"])
        let shifted = try builder.slice(logits, axis: 1, 0..<4)
        let rows = try builder.view(shifted, [builder.batchSize * 4, 7])
        let own = try builder.view(rows, [builder.batchSize, 4, 7])
        return try builder.emit(SampleCrossEntropy(), own, values["y"]!)
    }

    /// The table enters the head through a transposition, and the head has a bias of its own.
    static let tiedTransposedHead = PrivateModel(
        name: "tied transposed head",
        inputs: [
            .integers("tokens", in: 0..<6) { [$0, 3] },
            Input(name: "y", kind: .targets(classes: 6), shape: { [$0, 3] }),
        ],
        parameters: [("table", [6, 3]), ("m", [3, 3]), ("bias", [6])], layers: [["table", "bias"], ["m"]]
    ) { builder, values throws(GraphError) in
        let weights = try builder.emit(Transposition(permutation: [1, 0]), values["table"]!)
        let rows = try builder.view(try hidden(&builder, values), [builder.batchSize * 3, 3])
        let product = try builder.emit(MatrixProduct(), rows, weights)
        let logits = try builder.view(try builder.add(product, values["bias"]!), [builder.batchSize, 3, 6])
        return try builder.emit(SampleCrossEntropy(), logits, values["y"]!)
    }

    /// Logits with the classes on axis 1, as PyTorch's loss takes them, and no bias.
    static let classesFirstHead = PrivateModel(
        name: "classes first",
        inputs: [
            .integers("tokens", in: 0..<5) { [$0, 4] },
            Input(name: "y", kind: .targets(classes: 6), shape: { [$0, 4] }),
        ],
        parameters: [("table", [5, 3]), ("m", [3, 4]), ("head", [6, 4])], layers: [["table"], ["m"], ["head"]]
    ) { builder, values throws(GraphError) in
        let logits = try builder.matmul(try hidden(&builder, values), values["head"]!, transposingRight: true)
        let classesFirst = try builder.view(
            try builder.emit(Transposition(permutation: [0, 2, 1]), logits), [builder.batchSize, 6, 2, 2])
        let last = try builder.emit(Transposition(permutation: [0, 2, 3, 1]), classesFirst)
        return try builder.emit(
            SampleCrossEntropy(), try builder.view(last, [builder.batchSize, 4, 6]), values["y"]!)
    }

    /// One position for each sample: a classifier of many classes.
    static let classHead = PrivateModel(
        name: "class head", inputs: [.floats("x") { [$0, 3] }, .labels(classes: 9)],
        parameters: [("w", [3, 4]), ("head", [4, 9]), ("bias", [9])], layers: [["w"], ["head", "bias"]]
    ) { builder, values throws(GraphError) in
        let hidden = try builder.unary(.tanh, try builder.matmul(values["x"]!, values["w"]!))
        return try builder.classLoss(try builder.linear(hidden, values["head"], values["bias"]), values["y"])
    }

    /// A language model of any size whose head is tied to the embedding, or has weights of its own and a bias.
    static func language(classes: Int, width: Int, positions: Int, isTied: Bool) -> PrivateModel {
        let own: [(name: String, shape: [Int])] = isTied ? [] : [("head", [width, classes]), ("bias", [classes])]
        return PrivateModel(
            name: isTied ? "tied language model" : "language model",
            inputs: [
                .integers("tokens", in: 0..<classes) { [$0, positions] },
                Input(name: "y", kind: .targets(classes: classes), shape: { [$0, positions] }),
            ],
            parameters: [("table", [classes, width]), ("m", [width, width])] + own,
            layers: [["table"], ["m"]] + (isTied ? [] : [["head", "bias"]])
        ) { builder, values throws(GraphError) in
            let read = try hidden(&builder, values)
            let logits =
                isTied
                ? try builder.matmul(read, values["table"]!, transposingRight: true)
                : try builder.linear(read, values["head"], values["bias"])
            return try builder.emit(SampleCrossEntropy(), logits, values["y"]!)
        }
    }
}
