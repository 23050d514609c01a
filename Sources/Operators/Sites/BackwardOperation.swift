public import TensorGraph

/// An operation that is emitted behind the forward pass only: into gradients, norms and contractions, where the batch
/// is not followed any more.
public protocol BackwardOperation: ExecutableOperation {}

extension BackwardOperation {
    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        outputs.map { _ in nil }
    }
}
