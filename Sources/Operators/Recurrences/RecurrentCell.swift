public import Kernels

/// Which recurrent cell a `Recurrence` steps through, and how its gates are computed.
public enum RecurrentCell: Hashable, Sendable {
    case lstm(LSTMCell)
    case gru(GRUCell)
    /// h = f(x W^T + b + h' R^T)
    case elman(RecurrentActivation)

    /// Gates per hidden feature: the features of a projection are this many times H.
    var gates: Int {
        switch self {
        case .lstm: 4
        case .gru: 3
        case .elman: 1
        }
    }

    /// Rows of the recurrent weights as multiples of H.
    var recurrentGates: Int {
        if case .gru(let cell) = self, !cell.resetsBehindWeights { 2 } else { gates }
    }

    var name: String {
        switch self {
        case .lstm: "lstm"
        case .gru: "gru"
        case .elman: "rnn"
        }
    }
}

/// Inputs of a `Recurrence` that need not be there, in the order in which they follow projections and weights.
public enum RecurrentOperand: Int, CaseIterable, Hashable, Sendable {
    /// Steps of each sequence, integers [N]
    case lengths
    /// h_0 [N, H]
    case hidden
    /// c_0 [N, H], of an LSTM
    case cell
    /// P [3 H], of an LSTM
    case peepholes
    /// R of the candidate [H, H], of a GRU whose reset gate works before it
    case candidateWeights
    /// b_R [3 H], of a GRU whose reset gate works behind the recurrent weights
    case recurrentBias
}

/// Outputs of a `Recurrence` through which a gradient may come.
public enum RecurrentResult: Int, CaseIterable, Hashable, Sendable {
    /// h_t [N, T, H]
    case output = 1
    /// h after the last step [N, H]
    case hidden = 2
    /// c after the last step [N, H], of an LSTM
    case cell = 3
}
