import ONNXFormat
import Operators
import TensorGraph
import Training

/// The batch normalizations of a state_dict that are missing in a graph, and the weights they were folded into: a
/// convolution or linear layer with weights W and bias b became one with s W and s (b - mean) + beta, where
/// s = gamma / sqrt(variance + epsilon) of each channel.
struct BatchNormalizations {
    struct Fold {
        var module: String
        /// Positions in the state_dict: the weights, their bias, and the normalization's own tensors.
        var states: [Int]
    }

    private struct Normalization {
        var module: String
        var states: [Int]
        var scale: [Float]
        var variance: [Float]
    }

    private var normalizations: [Normalization] = []
    private let states: [StateTensor]
    /// Tensors that are not in the graph and for which no fold was found yet.
    private var open: [Int]
    private let file: WeightFile

    init(_ states: [StateTensor], open: [Int], in file: WeightFile) throws {
        self.states = states
        self.open = open
        self.file = file
        let byModule = Dictionary(grouping: open) { states[$0].module }
        for (module, members) in byModule.sorted(by: { $0.key < $1.key }) {
            func member(_ leaf: String) -> Int? {
                members.first { TensorNaming.leaf(of: states[$0].programName) == leaf }
            }
            guard let variance = member("running_var") else { continue }
            let values = try file.array(states[variance].name).floats()
            let scale = try member("weight").map { try file.array(states[$0].name).floats() }
            normalizations.append(
                Normalization(
                    module: module, states: members, scale: scale ?? [Float](repeating: 1, count: values.count),
                    variance: values))
        }
    }

    /// The fold that a tensor of the graph is the weight of; each is found once.
    mutating func fold(of tensor: GraphTensor) throws -> Fold? {
        guard !normalizations.isEmpty, tensor.shape.count > 1 else { return nil }
        let folded = try tensor.original.load().floatValues
        for state in open where states[state].shape == tensor.shape {
            let weights = try file.array(states[state].name).floats()
            for axis in 0...1 {
                guard let factors = Self.factors(of: weights, in: folded, tensor.shape, axis: axis) else { continue }
                for (position, normalization) in normalizations.enumerated()
                where Self.explains(normalization, factors) {
                    normalizations.remove(at: position)
                    let bias = open.filter { $0 != state && isBias($0, of: state) }
                    open.removeAll { $0 == state || bias.contains($0) || normalization.states.contains($0) }
                    return Fold(module: normalization.module, states: [state] + bias + normalization.states)
                }
            }
        }
        return nil
    }

    private func isBias(_ other: Int, of state: Int) -> Bool {
        states[other].module == states[state].module && states[other].shape.count == 1
    }

    /// The factor of each channel by which `weights` become `folded`; nil if there is none.
    private static func factors(of weights: [Float], in folded: [Float], _ shape: [Int], axis: Int) -> [Float]? {
        let whole = StridedView(shape: shape)
        var factors: [Float] = []
        for channel in 0..<shape[axis] {
            let view = whole.slice(axis: axis, channel..<channel + 1)
            let (before, after) = (view.gathered(from: weights), view.gathered(from: folded))
            guard let largest = before.indices.max(by: { before[$0].magnitude < before[$1].magnitude }),
                before[largest] != 0
            else { return nil }
            let factor = after[largest] / before[largest]
            let tolerance = 1e-4 * after[largest].magnitude
            guard zip(before, after).allSatisfy({ ($0 * factor - $1).magnitude <= tolerance }) else { return nil }
            factors.append(factor)
        }
        return factors
    }

    /// Whether one epsilon makes the factors those of the normalization.
    private static func explains(_ normalization: Normalization, _ factors: [Float]) -> Bool {
        guard normalization.scale.count == factors.count else { return false }
        return zip(factors.indices, factors).allSatisfy { channel, factor in
            let scale = normalization.scale[channel]
            guard scale != 0 else { return factor == 0 }
            // Epsilons are small: the factor lies between those for 0 and for 0.01.
            let square = (scale / factor) * (scale / factor)
            let variance = normalization.variance[channel]
            return square >= variance * 0.999 && square <= (variance + 0.01) * 1.001
        }
    }
}
