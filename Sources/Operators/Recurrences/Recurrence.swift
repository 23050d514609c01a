import Kernels
public import TensorGraph

/// The steps of a recurrent cell over time, one direction. What does not depend on the state is computed before, for all
/// steps at once.
///
/// Inputs: projections x W^T + b [N, T, gates H], recurrent weights R [gates H, H] (of a GRU whose reset gate works
/// before the weights only those of its gates, [2 H, H]), and the `operands` there are.
/// Outputs: gates [N, T, gates H] as the gradient needs them, h_t [N, T, H], the last h [N, H]; of an LSTM also the last
/// c [N, H] and c_t [N, T, H]; of a GRU what the reset gate multiplies behind the weights, or its product before them,
/// [N, T, H]. Gates may take the memory of the projections. Sequences come first and are the batch; h_t and c_t are zero
/// behind the end of a sequence, and NaN where a length cannot be.
public struct Recurrence: ExecutableOperation {
    public let cell: RecurrentCell
    /// Whether the last step is computed first.
    public let isReversed: Bool
    /// The optional inputs that are present.
    public let operands: Set<RecurrentOperand>

    public init(_ cell: RecurrentCell, isReversed: Bool, operands: Set<RecurrentOperand>) {
        self.cell = cell
        self.isReversed = isReversed
        self.operands = operands
    }

    public var description: String { "\(cell.name)\(isReversed ? " backwards in time" : "")" }

    /// Which input an operand is.
    func index(of operand: RecurrentOperand) -> Int? {
        guard operands.contains(operand) else { return nil }
        return 2 + operands.count { $0.rawValue < operand.rawValue }
    }

    func value(_ operand: RecurrentOperand, of node: Node) -> ValueID? { index(of: operand).map { node.inputs[$0] } }

    /// The operand at an input; nil for projections and weights.
    func operand(at index: Int) -> RecurrentOperand? { operands.first { self.index(of: $0) == index } }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let (projections, weights) = (inputs[0].shape, inputs[1].shape)
        guard projections.count == 3, weights.count == 2, weights[0] == cell.recurrentGates * weights[1],
            projections[2] == cell.gates * weights[1], inputs[0].elementType == .float32,
            inputs[1].elementType == .float32
        else { throw .invalid("\(inputs[0]) and \(inputs[1]) are no projections and weights of \(cell.name)") }
        let (sequences, hidden) = (projections[0], weights[1])
        let state = TensorType(.float32, [sequences, hidden])
        for operand in operands {
            let expected: TensorType =
                switch operand {
                case .lengths: TensorType(.int64, [sequences])
                case .hidden, .cell: state
                case .peepholes, .recurrentBias: TensorType(.float32, [3 * hidden])
                case .candidateWeights: TensorType(.float32, [hidden, hidden])
                }
            guard inputs[index(of: operand)!] == expected else {
                throw .invalid(
                    "\(inputs[index(of: operand)!]) does not fit \(sequences) sequences and \(hidden) features")
            }
        }
        let states = TensorType(.float32, [sequences, projections[1], hidden])
        switch cell {
        case .lstm: return [inputs[0], states, state, state, states]
        case .gru: return [inputs[0], states, state, states]
        case .elman: return [inputs[0], states, state]
        }
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        var rows: [BatchOperand] = []
        for (index, input) in inputs.enumerated() {
            let shape = input.type.shape
            var row = input
            switch operand(at: index) {
            case nil where index == 0: break
            case .lengths: row.type = input.type.with(shape: [shape[0], 1, 1])
            case .hidden, .cell:
                row.type = input.type.with(shape: [shape[0], 1, shape[1]])
                if row.factor?.axis == 1 { row.factor?.axis = 2 }
            case nil, .peepholes, .candidateWeights, .recurrentBias:
                if let factor = input.factor {
                    throw BatchMixing(axis: factor.axis, "its weights depend on the samples")
                }
                continue
            }
            rows.append(row)
        }
        let factor = try BatchRules.elementwise(rows, outputRank: 3)
        if let factor, factor.axis != 0 {
            throw BatchMixing(
                axis: factor.axis,
                factor.axis == 1
                    ? "it steps through the batch as through time" : "it combines features that hold the batch")
        }
        return outputs.map { _ in factor }
    }

    public var overwritableInputs: [Int] { [0] }

    func shape(_ inputs: [TensorType]) -> RecurrentShape {
        RecurrentShape(
            sequences: inputs[0].shape[0], steps: inputs[0].shape[1], hidden: inputs[1].shape[1],
            isReversed: isReversed)
    }
}
