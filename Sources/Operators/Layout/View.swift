public import TensorGraph

/// The same elements in the same order under another shape. Costs nothing: it shares its input's memory.
public struct View: Operation {
    public let shape: [Int]

    public init(shape: [Int]) { self.shape = shape }

    public var description: String { "view \(shape)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].count == shape.elementCount else { throw .invalid("cannot reshape \(inputs[0]) to \(shape)") }
        return [inputs[0].with(shape: shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.view(inputs[0], to: shape)]
    }

    public var viewedInput: Int? { 0 }
}
