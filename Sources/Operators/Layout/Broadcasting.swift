public import TensorGraph

/// Repeats a tensor along its axes of size 1, and along new leading axes.
public struct Broadcasting: Operation {
    public let shape: [Int]

    public init(shape: [Int]) { self.shape = shape }

    public var description: String { "broadcast to \(shape)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard broadcastedShape([inputs[0].shape, shape]) == shape else {
            throw .invalid("cannot broadcast \(inputs[0]) to \(shape)")
        }
        return [inputs[0].with(shape: shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.elementwise(inputs, outputRank: shape.count)]
    }
}
