import Kernels
public import TensorGraph

/// Backpropagation through time of a `Recurrence`.
///
/// Inputs: the recurrence's gates, its weights and operands, of an LSTM c_t, of a GRU h_t and what it kept of the
/// candidate, then the gradients of the `results` that reach the loss. Outputs: gradients of the projections
/// [N, T, gates H], of h_0 [N, H], and of c_0 [N, H] for an LSTM, of h' R^T + b_R [N, T, 3 H] for a GRU whose reset gate
/// works behind the weights.
/// Gradients may take the memory of the gates.
public struct RecurrenceGradient: BackwardOperation {
    public let recurrence: Recurrence
    /// The outputs of the recurrence whose gradients are given, in their order.
    public let results: Set<RecurrentResult>

    public init(_ recurrence: Recurrence, results: Set<RecurrentResult>) {
        self.recurrence = recurrence
        self.results = results
    }

    public var description: String { "\(recurrence) gradient" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let forward = try recurrence.outputTypes(for: Array(inputs[..<(2 + recurrence.operands.count)]))
        for result in results {
            let given = inputs[place(of: result)!]
            guard given == forward[result.rawValue] else { throw .invalid("\(given) is no gradient of \(recurrence)") }
        }
        switch recurrence.cell {
        case .lstm: return [forward[0], forward[2], forward[2]]
        case .gru(let cell): return [forward[0], forward[2]] + (cell.resetsBehindWeights ? [forward[0]] : [])
        case .elman: return [forward[0], forward[2]]
        }
    }

    /// The input that holds the gradient of a result; nil if none arrives there.
    func place(of result: RecurrentResult) -> Int? {
        guard results.contains(result) else { return nil }
        let kept =
            switch recurrence.cell {
            case .lstm: 1
            case .gru: 2
            case .elman: 0
            }
        return 2 + recurrence.operands.count + kept + results.count { $0.rawValue < result.rawValue }
    }

    public var overwritableInputs: [Int] { [0] }
}

/// The state from which each step starts: states after each step [N, T, H], initial states [N, H] and lengths [N] where
/// there are any -> [N, T, H]. Zero behind the end of a sequence.
public struct PreviousStates: BackwardOperation {
    public let isReversed: Bool
    public let hasInitialStates: Bool
    public let hasLengths: Bool

    public init(isReversed: Bool, hasInitialStates: Bool, hasLengths: Bool) {
        self.isReversed = isReversed
        self.hasInitialStates = hasInitialStates
        self.hasLengths = hasLengths
    }

    public var description: String { "previous states\(isReversed ? " backwards in time" : "")" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] { [inputs[0]] }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let states = inputs[0].shape
        let shape = RecurrentShape(
            sequences: states[0], steps: states[1], hidden: states[2], isReversed: isReversed)
        let (hasInitialStates, hasLengths) = (hasInitialStates, hasLengths)
        return Kernel { arguments in
            previousStates(
                arguments.input(0), initial: hasInitialStates ? arguments.input(1) : nil,
                lengths: hasLengths ? arguments.input(hasInitialStates ? 2 : 1) : nil, shape,
                into: arguments.output(0), pool: arguments.pool)
        }
    }
}
