import Kernels
public import TensorGraph

extension Recurrence {
    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradients = try RecurrenceGradients(self, of: node, outputGradients, in: &builder) else { return nil }
        switch operand(at: index) {
        case nil where index == 0: return gradients.projections
        case nil, .candidateWeights:
            let (x, g) = try gradients.weightFactors(index == 1 ? nil : .candidateWeights, in: &builder)
            return try builder.matmul(try builder.flattened(g), try builder.flattened(x), transposingLeft: true)
        case .lengths: return nil
        case .hidden: return gradients.hidden
        case .cell: return gradients.cell
        case .peepholes: return try builder.sum(try gradients.peepholes(in: &builder), axes: [0, 1])
        case .recurrentBias: return try builder.sum(gradients.recurrent, axes: [0, 1])
        }
    }

    /// Recurrent weights are a linear site over time, of h_{t-1} and the gradients of the pre-activations; peepholes
    /// multiply element by element.
    public func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        guard let gradients = try RecurrenceGradients(self, of: node, outputGradients, in: &builder),
            let factor = builder.graph[node.output].batch.factor
        else { throw GraphError.invalid("no sample reaches the parameter at input \(index)").at("\(node.origin)") }
        switch operand(at: index) {
        case nil where index == 1, .candidateWeights:
            let (x, g) = try gradients.weightFactors(index == 1 ? nil : .candidateWeights, in: &builder)
            return LinearSite(
                x: try builder.batchMajor(x, factor, featureAxes: 1),
                g: try builder.batchMajor(g, factor, featureAxes: 1), isTransposed: true,
                gradientShape: builder.shape(of: node.inputs[index]), in: builder)
        case .peepholes:
            return try builder.broadcastSite(
                of: node, operand: index, elementGradient: try gradients.peepholes(in: &builder))
        case nil: return try builder.broadcastSite(of: node, operand: index, elementGradient: gradients.projections)
        case .hidden: return try builder.broadcastSite(of: node, operand: index, elementGradient: gradients.hidden)
        case .cell: return try builder.broadcastSite(of: node, operand: index, elementGradient: gradients.cell)
        case .recurrentBias:
            return try builder.broadcastSite(of: node, operand: index, elementGradient: gradients.recurrent)
        case .lengths: preconditionFailure("lengths are integers")
        }
    }
}

/// What backpropagation through time yields for one node.
private struct RecurrenceGradients {
    let recurrence: Recurrence
    let node: Node
    /// Of the pre-activations, [N, T, gates H].
    let projections: ValueID
    /// Of the initial state, [N, H].
    let hidden: ValueID
    /// Of the initial cell of an LSTM, [N, H].
    let cell: ValueID?
    /// Of what leaves the recurrent weights, [N, T, gates H].
    let recurrent: ValueID

    /// Nil if no gradient arrives.
    init?(
        _ recurrence: Recurrence, of node: Node, _ outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) {
        let results = RecurrentResult.allCases.filter {
            $0.rawValue < outputGradients.count && outputGradients[$0.rawValue] != nil
        }
        guard !results.isEmpty else { return nil }
        var inputs = [node.outputs[0]] + node.inputs.dropFirst()
        switch recurrence.cell {
        case .lstm: inputs.append(node.outputs[4])
        case .gru: inputs += [node.outputs[1], node.outputs[3]]
        case .elman: break
        }
        inputs += results.map { outputGradients[$0.rawValue]! }
        let outputs = try builder.emitAll(RecurrenceGradient(recurrence, results: Set(results)), inputs)
        self.recurrence = recurrence
        self.node = node
        projections = outputs[0]
        hidden = outputs[1]
        switch recurrence.cell {
        case .lstm: (cell, recurrent) = (outputs[2], outputs[0])
        case .gru(let kind): (cell, recurrent) = (nil, kind.resetsBehindWeights ? outputs[2] : outputs[0])
        case .elman: (cell, recurrent) = (nil, outputs[0])
        }
    }

    /// What enters recurrent weights at each step, and the gradient of what leaves them.
    ///
    /// A GRU whose reset gate works before the weights of the candidate has r h' enter those (`candidateWeights`), and
    /// h' the weights of its gates.
    func weightFactors(_ operand: RecurrentOperand?, in builder: inout GraphBuilder) throws(GraphError) -> (
        x: ValueID, g: ValueID
    ) {
        let count = builder.shape(of: node.inputs[1])[1]
        if operand == .candidateWeights {
            return (node.outputs[3], try builder.slice(projections, axis: 2, 2 * count..<3 * count))
        }
        let rows = recurrence.cell.recurrentGates * count
        return (
            try previous(node.outputs[1], .hidden, in: &builder), try builder.slice(recurrent, axis: 2, 0..<rows)
        )
    }

    /// Gradients of the three peepholes at every step, [N, T, 3 H]: those of i and f see c_{t-1}, that of o sees c_t.
    func peepholes(in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        let cells = node.outputs[4]
        let before = try previous(cells, .cell, in: &builder)
        let count = builder.shape(of: cells)[2]
        let seen = try builder.concatenate([before, cells, before], axis: 2)
        return try builder.multiply(try builder.slice(projections, axis: 2, 0..<3 * count), seen)
    }

    private func previous(_ states: ValueID, _ initial: RecurrentOperand, in builder: inout GraphBuilder)
        throws(GraphError) -> ValueID
    {
        let operation = PreviousStates(
            isReversed: recurrence.isReversed, hasInitialStates: recurrence.operands.contains(initial),
            hasLengths: recurrence.operands.contains(.lengths))
        let inputs = [states, recurrence.value(initial, of: node), recurrence.value(.lengths, of: node)]
        return try builder.emitAll(operation, inputs.compactMap { $0 })[0]
    }
}

extension GraphBuilder {
    /// All leading axes as rows of one matrix.
    fileprivate mutating func flattened(_ value: ValueID) throws(GraphError) -> ValueID {
        let shape = self.shape(of: value)
        return try view(value, [shape.dropLast().elementCount, shape.last!])
    }
}
