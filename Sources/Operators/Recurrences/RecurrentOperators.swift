import Kernels
import TensorGraph

/// ONNX operators that step through time.
enum RecurrentOperators {
    static let all: [any OperatorPlugin] = [7, 14, 22].flatMap { version in
        [
            StandardOperator("LSTM", since: version, expand: lstm),
            StandardOperator("GRU", since: version, expand: gru), StandardOperator("RNN", since: version, expand: rnn),
        ]
    }

    @Sendable
    private static func lstm(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let layer = try RecurrentLayer(&node, gates: 4)
        let lengths = try layer.lengths(of: &node)
        let couples = try node.flag("input_forget")
        var results: [[ValueID]] = []
        for (direction, isReversed) in layer.directions.enumerated() {
            let functions = try node.recurrentActivations(
                [.sigmoid, .tanh, .tanh], direction: direction, of: layer.directions.count)
            // ONNX Runtime clips what enters the gates, and not the cell on its way out.
            var output = functions[2]
            output.clip = nil
            let cell = LSTMCell(
                gate: functions[0], candidate: functions[1], output: output, couplesInputAndForget: couples)
            var projections = try layer.projections(direction, of: &node)
            if let (own, recurrent) = try layer.biases(direction, of: &node) {
                projections = try node.builder.add(projections, try node.builder.add(own, recurrent))
            }
            let operands: [RecurrentOperand: ValueID] = [
                .lengths: lengths, .hidden: try layer.state(5, direction: direction, of: &node),
                .cell: try layer.state(6, direction: direction, of: &node),
                .peepholes: try layer.part(7, direction: direction, of: &node),
            ].compactMapValues { $0 }
            results.append(
                try node.builder.recurrence(
                    .lstm(cell), isReversed: isReversed, projections: projections,
                    weights: try layer.part(2, direction: direction, of: &node)!, operands))
        }
        return [
            try layer.output(results.map { $0[1] }, in: &node.builder),
            try layer.lastStates(results.map { $0[2] }, in: &node.builder),
            try layer.lastStates(results.map { $0[3] }, in: &node.builder),
        ]
    }

    @Sendable
    private static func gru(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let layer = try RecurrentLayer(&node, gates: 3)
        let lengths = try layer.lengths(of: &node)
        let resetsBehindWeights = try node.flag("linear_before_reset")
        var results: [[ValueID]] = []
        for (direction, isReversed) in layer.directions.enumerated() {
            let functions = try node.recurrentActivations(
                [.sigmoid, .tanh], direction: direction, of: layer.directions.count)
            let cell = GRUCell(
                gate: functions[0], candidate: functions[1], resetsBehindWeights: resetsBehindWeights)
            var projections = try layer.projections(direction, of: &node)
            var weights = try layer.part(2, direction: direction, of: &node)!
            var operands: [RecurrentOperand: ValueID] = [
                .lengths: lengths, .hidden: try layer.state(5, direction: direction, of: &node),
            ].compactMapValues { $0 }
            if let (own, recurrent) = try layer.biases(direction, of: &node) {
                if resetsBehindWeights { operands[.recurrentBias] = recurrent }
                let bias = resetsBehindWeights ? own : try node.builder.add(own, recurrent)
                projections = try node.builder.add(projections, bias)
            }
            if !resetsBehindWeights {
                let count = layer.hidden
                operands[.candidateWeights] = try node.builder.slice(weights, axis: 0, 2 * count..<3 * count)
                weights = try node.builder.slice(weights, axis: 0, 0..<2 * count)
            }
            results.append(
                try node.builder.recurrence(
                    .gru(cell), isReversed: isReversed, projections: projections, weights: weights, operands))
        }
        return [
            try layer.output(results.map { $0[1] }, in: &node.builder),
            try layer.lastStates(results.map { $0[2] }, in: &node.builder),
        ]
    }

    @Sendable
    private static func rnn(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let layer = try RecurrentLayer(&node, gates: 1)
        let lengths = try layer.lengths(of: &node)
        var results: [[ValueID]] = []
        for (direction, isReversed) in layer.directions.enumerated() {
            let functions = try node.recurrentActivations([.tanh], direction: direction, of: layer.directions.count)
            var projections = try layer.projections(direction, of: &node)
            if let (own, recurrent) = try layer.biases(direction, of: &node) {
                projections = try node.builder.add(projections, try node.builder.add(own, recurrent))
            }
            let operands: [RecurrentOperand: ValueID] = [
                .lengths: lengths, .hidden: try layer.state(5, direction: direction, of: &node),
            ].compactMapValues { $0 }
            results.append(
                try node.builder.recurrence(
                    .elman(functions[0]), isReversed: isReversed, projections: projections,
                    weights: try layer.part(2, direction: direction, of: &node)!, operands))
        }
        return [
            try layer.output(results.map { $0[1] }, in: &node.builder),
            try layer.lastStates(results.map { $0[2] }, in: &node.builder),
        ]
    }
}

extension GraphBuilder {
    /// Emits a `Recurrence`. What is the same for all samples, and trains, is repeated for each of them.
    fileprivate mutating func recurrence(
        _ cell: RecurrentCell, isReversed: Bool, projections: ValueID, weights: ValueID,
        _ operands: [RecurrentOperand: ValueID]
    ) throws(GraphError) -> [ValueID] {
        let present = operands.keys.sorted { $0.rawValue < $1.rawValue }
        let ofSequences = present.filter { $0 == .hidden || $0 == .cell }
        let copies = try oneCopyPerSample([projections] + ofSequences.map { operands[$0]! })
        var inputs = [copies[0], weights]
        for operand in present {
            inputs.append(ofSequences.firstIndex(of: operand).map { copies[$0 + 1] } ?? operands[operand]!)
        }
        return try emitAll(Recurrence(cell, isReversed: isReversed, operands: Set(present)), inputs)
    }
}
