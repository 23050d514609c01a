public import TensorGraph

/// Reorders axes: axis k of the output is axis `permutation[k]` of the input.
public struct Transposition: Operation {
    public let permutation: [Int]

    public init(permutation: [Int]) { self.permutation = permutation }

    public var description: String { "transpose \(permutation)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard permutation.sorted() == Array(inputs[0].shape.indices) else {
            throw .invalid("\(permutation) is not a permutation of the axes of \(inputs[0])")
        }
        return [inputs[0].with(shape: permutation.map { inputs[0].shape[$0] })]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [BatchRules.transpose(inputs[0], permutation: permutation)]
    }
}
