import Kernels
public import TensorGraph

/// The sum of x y over some axes, which stay with a size of 1: the gradient of a scale, without the products in memory.
public struct ProductSum: BackwardOperation {
    /// Ascending, non-negative and not empty.
    public let axes: [Int]

    public init(axes: [Int]) { self.axes = axes }

    public var description: String { "sum of products over \(axes)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0] == inputs[1], inputs[0].elementType == .float32, !axes.isEmpty,
            axes.allSatisfy(inputs[0].shape.indices.contains)
        else { throw .invalid("products of \(inputs[0]) and \(inputs[1]) cannot be summed over \(axes)") }
        return [inputs[0].with(shape: inputs[0].shape.enumerated().map { axes.contains($0) ? 1 : $1 })]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let shape = inputs[0].shape
        let axes = Set(axes)
        return Kernel(operationCount: 2 * Double(inputs[0].count)) { arguments in
            Rows.sumProducts(
                arguments.input(0), arguments.input(1), shape: shape, axes: axes, into: arguments.output(0),
                pool: arguments.pool)
        }
    }
}
