public import Kernels
public import TensorGraph

/// Combines all entries along some axes.
public struct Reduction: Operation {
    public let function: ReductionFunction
    /// Ascending and non-negative; empty means nothing is reduced.
    public let axes: [Int]
    public let keepsAxes: Bool

    public init(_ function: ReductionFunction, axes: [Int], keepsAxes: Bool) {
        self.function = function
        self.axes = axes
        self.keepsAxes = keepsAxes
    }

    public var description: String { "reduce \(function) over \(axes)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard axes.allSatisfy({ inputs[0].shape.indices.contains($0) }) else {
            throw .invalid("cannot reduce axes \(axes) of \(inputs[0])")
        }
        let shape = inputs[0].shape.enumerated().compactMap { axis, dimension in
            axes.contains(axis) ? (keepsAxes ? 1 : nil) : dimension
        }
        return [inputs[0].with(shape: shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.reduce(inputs[0], axes: axes, keepingAxes: keepsAxes)]
    }
}
