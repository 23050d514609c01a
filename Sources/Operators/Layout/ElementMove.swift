public import TensorGraph

/// An operation that may be no more than a rearrangement of elements. Where it is, the per-sample gradients before and
/// after it have the same norm, so that a parameter seen through it needs no per-sample gradient of its own.
public protocol ElementMove: Operation {
    /// True if every output element is a single input element, and no two are the same one.
    ///
    /// Inputs count as different tensors; a caller that passes one value twice must know that.
    /// - Parameter constants: the inputs that are constant, nil for the others.
    func isInjective(inputs: [TensorType], constants: [Constant?]) -> Bool
}
