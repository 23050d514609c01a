import Kernels
import Operators
import TensorGraph

/// Recurrent cells over sequences [B, 4, 3].
extension PrivateModel {
    static let recurrences = [lstm, peepholes, bidirectional, sharedCell, gru, encoder]

    /// One sequence per sample, a head on every step and on the last cell.
    static let lstm = PrivateModel(
        name: "LSTM", inputs: [.floats("x") { [$0, 4, 3] }, .floats("y") { [$0, 4, 2] }],
        parameters: [("w", [8, 3]), ("b", [16]), ("r", [8, 2])], layers: [["w", "b"], ["r"]]
    ) { builder, values throws(GraphError) in
        let outputs = try builder.recurrence(.lstm(LSTMCell()), values["x"]!, values, operands: [:])
        let hidden = try builder.add(outputs[1], try builder.view(outputs[3], [builder.batchSize, 1, 2]))
        return try builder.squaredLoss(hidden, values["y"], axes: [1, 2])
    }

    /// Lengths and initial cells are data; two sequences belong to each sample.
    static let peepholes = PrivateModel(
        name: "LSTM with peepholes",
        inputs: [
            .floats("x", factor: BatchFactor(axis: 0, inner: 2)) { [2 * $0, 4, 3] }, .floats("y") { [$0, 2, 4, 2] },
            Input(name: "n", kind: .integers(1..<5), shape: { [2 * $0] }, factor: BatchFactor(axis: 0, inner: 2)),
            .floats("c", factor: BatchFactor(axis: 0, inner: 2)) { [2 * $0, 2] },
        ],
        parameters: [("w", [8, 3]), ("b", [16]), ("r", [8, 2]), ("p", [6])], layers: [["w", "b"], ["r", "p"]]
    ) { builder, values throws(GraphError) in
        let cell = LSTMCell(
            candidate: RecurrentActivation(.softsign),
            output: RecurrentActivation(.tanh, inputScale: 0.8, outputScale: 1.2))
        let outputs = try builder.recurrence(
            .lstm(cell), values["x"]!, values, isReversed: true,
            operands: [.lengths: values["n"]!, .cell: values["c"]!, .peepholes: values["p"]!])
        let hidden = try builder.view(outputs[1], [builder.batchSize, 2, 4, 2])
        return try builder.squaredLoss(hidden, values["y"], axes: [1, 2, 3])
    }

    /// Weights of both directions in one tensor, and an initial state that trains.
    static let bidirectional = PrivateModel(
        name: "LSTM in both directions", inputs: [.floats("x") { [$0, 4, 3] }, .floats("y") { [$0, 4, 4] }],
        parameters: [("w", [2, 8, 3]), ("b", [2, 16]), ("r", [2, 8, 2]), ("h", [1, 2])],
        layers: [["h"], ["w", "b"], ["r"]]
    ) { builder, values throws(GraphError) in
        let state = try builder.broadcast(values["h"]!, to: [builder.batchSize, 2])
        if builder.batchSize > 1 { builder.markBatched(state, BatchFactor(axis: 0)) }
        var outputs: [ValueID] = []
        for direction in 0..<2 {
            var own: [String: ValueID] = [:]
            for name in ["w", "b", "r"] {
                let part = try builder.slice(values[name]!, axis: 0, direction..<direction + 1)
                own[name] = try builder.view(part, Array(builder.shape(of: part).dropFirst()))
            }
            outputs.append(
                try builder.recurrence(
                    .lstm(LSTMCell()), values["x"]!, own, isReversed: direction == 1,
                    operands: direction == 1 ? [.hidden: state] : [.cell: state])[1])
        }
        return try builder.squaredLoss(try builder.concatenate(outputs, axis: 2), values["y"], axes: [1, 2])
    }

    /// One cell over two sequences of a sample, the second of which starts where the first ended.
    static let sharedCell = PrivateModel(
        name: "one LSTM twice",
        inputs: [.floats("x") { [$0, 4, 2] }, .floats("z") { [$0, 2, 2] }, .floats("y") { [$0, 2, 2] }],
        parameters: [("w", [8, 2]), ("b", [16]), ("r", [8, 2])], layers: [["w", "b"], ["r"]]
    ) { builder, values throws(GraphError) in
        let first = try builder.recurrence(.lstm(LSTMCell()), values["x"]!, values, operands: [:])
        let second = try builder.recurrence(
            .lstm(LSTMCell()), values["z"]!, values, operands: [.hidden: first[2], .cell: first[3]])
        return try builder.squaredLoss(second[1], values["y"], axes: [1, 2])
    }

    /// PyTorch's GRU, whose reset gate works behind the recurrent weights, backwards in time.
    static let gru = PrivateModel(
        name: "GRU",
        inputs: [
            .floats("x") { [$0, 4, 3] }, .floats("y") { [$0, 4, 2] },
            Input(name: "n", kind: .integers(1..<5), shape: { [$0] }),
        ],
        parameters: [("w", [6, 3]), ("b", [12]), ("r", [6, 2])], layers: [["w", "b", "r"]]
    ) { builder, values throws(GraphError) in
        let bias = try builder.slice(values["b"]!, axis: 0, 6..<12)
        let own = try builder.slice(values["b"]!, axis: 0, 0..<6)
        let projections = try builder.add(try builder.matmul(values["x"]!, values["w"]!, transposingRight: true), own)
        let outputs = try builder.emitAll(
            Recurrence(
                .gru(GRUCell(resetsBehindWeights: true)), isReversed: true, operands: [.lengths, .recurrentBias]),
            [projections, values["r"]!, values["n"]!, bias])
        return try builder.squaredLoss(outputs[1], values["y"], axes: [1, 2])
    }

    /// A GRU whose reset gate works before the weights reads a sequence, a simple recurrence goes on from its state.
    static let encoder = PrivateModel(
        name: "GRU and simple recurrence",
        inputs: [.floats("x") { [$0, 4, 2] }, .floats("z") { [$0, 2, 2] }, .floats("y") { [$0, 2, 2] }],
        parameters: [
            ("w", [6, 2]), ("b", [12]), ("r", [6, 2]), ("w2", [2, 2]), ("r2", [2, 2]),
        ], layers: [["w", "b"], ["r"], ["w2"], ["r2"]]
    ) { builder, values throws(GraphError) in
        var own = values
        own["r"] = try builder.slice(values["r"]!, axis: 0, 0..<4)
        let candidate = try builder.slice(values["r"]!, axis: 0, 4..<6)
        let read = try builder.recurrence(
            .gru(GRUCell(resetsBehindWeights: false)), values["x"]!, own, operands: [.candidateWeights: candidate])
        let projections = try builder.matmul(values["z"]!, values["w2"]!, transposingRight: true)
        let written = try builder.emitAll(
            Recurrence(.elman(RecurrentActivation(.softplus)), isReversed: false, operands: [.hidden]),
            [projections, values["r2"]!, read[2]])
        return try builder.squaredLoss(written[1], values["y"], axes: [1, 2])
    }
}

extension GraphBuilder {
    /// A recurrence over x [N, T, I] with the parameters w, b and r of ONNX's layout, without the axis of directions.
    fileprivate mutating func recurrence(
        _ cell: RecurrentCell, _ x: ValueID, _ parameters: [String: ValueID], isReversed: Bool = false,
        operands: [RecurrentOperand: ValueID]
    ) throws(GraphError) -> [ValueID] {
        let count = shape(of: parameters["b"]!)[0] / 2
        let bias = try add(
            try slice(parameters["b"]!, axis: 0, 0..<count), try slice(parameters["b"]!, axis: 0, count..<2 * count))
        let projections = try add(try matmul(x, parameters["w"]!, transposingRight: true), bias)
        let present = RecurrentOperand.allCases.filter { operands[$0] != nil }
        return try emitAll(
            Recurrence(cell, isReversed: isReversed, operands: Set(present)),
            [projections, parameters["r"]!] + present.map { operands[$0]! })
    }
}
