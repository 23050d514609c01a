import Kernels
import TensorGraph

/// The mean of a sample's losses over the positions whose targets are not ignored, 0 if there are none.
///
/// Inputs: losses [B, T], zero where the target is ignored, and targets [B, T] int64. Output: [B].
struct CountedMean: ExecutableOperation {
    var description: String { "mean over counted positions" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .float32, inputs[0].rank == 2, inputs[1] == TensorType(.int64, inputs[0].shape)
        else { throw .invalid("losses \(inputs[0]) and targets \(inputs[1]) do not belong together") }
        return [inputs[0].with(shape: [inputs[0].shape[0]])]
    }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.reduce(inputs[0], axes: [1], keepingAxes: false)]
    }

    func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard index == 0, let seed = outputGradients[0] else { return nil }
        return try builder.emit(CountedMeanGradient(), node.inputs[1], seed)
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (batch, positions) = (inputs[0].shape[0], inputs[0].shape[1])
        return Kernel { arguments in
            let losses = arguments.input(0, as: Float.self)
            let targets = arguments.input(1, as: Int64.self)
            let means = arguments.output(0, as: Float.self)
            for sample in 0..<batch {
                let own = sample * positions..<(sample + 1) * positions
                let count = countedPositions(targets + own.lowerBound, positions)
                means[sample] = count == 0 ? 0 : Float(own.reduce(0) { $0 + Double(losses[$1]) } / Double(count))
            }
        }
    }
}

/// The gradient of `CountedMean` with respect to each loss, from targets [B, T] and seed [B]: [B, T].
private struct CountedMeanGradient: BackwardOperation {
    var description: String { "shares of counted positions" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        [TensorType(.float32, inputs[0].shape)]
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (batch, positions) = (inputs[0].shape[0], inputs[0].shape[1])
        return Kernel { arguments in
            let targets = arguments.input(0, as: Int64.self)
            let seeds = arguments.input(1, as: Float.self)
            let shares = arguments.output(0, as: Float.self)
            for sample in 0..<batch {
                let start = sample * positions
                let count = countedPositions(targets + start, positions)
                (shares + start).update(repeating: seeds[sample] / Float(max(count, 1)), count: positions)
            }
        }
    }
}
