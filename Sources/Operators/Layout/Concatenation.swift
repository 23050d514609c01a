public import TensorGraph

/// Joins tensors along one axis.
public struct Concatenation: Operation {
    public let axis: Int

    public init(axis: Int) { self.axis = axis }

    public var description: String { "concatenate along \(axis)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        var shape = inputs[0].shape
        guard shape.indices.contains(axis) else { throw .invalid("axis \(axis) does not exist in \(inputs[0])") }
        for input in inputs.dropFirst() {
            var other = input.shape
            guard other.count == shape.count, input.elementType == inputs[0].elementType else {
                throw .invalid("cannot join \(inputs[0]) and \(input)")
            }
            let length = other[axis]
            other[axis] = shape[axis]
            guard other == shape else { throw .invalid("cannot join \(inputs[0]) and \(input) along axis \(axis)") }
            shape[axis] += length
        }
        return [inputs[0].with(shape: shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.concatenate(inputs, axis: axis)]
    }
}
