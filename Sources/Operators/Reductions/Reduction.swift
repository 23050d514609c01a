public import Kernels
public import TensorGraph

/// Combines all entries along some axes.
public struct Reduction: ExecutableOperation {
    public let function: ReductionFunction
    /// Ascending and non-negative; empty means that each element is reduced by itself.
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
        switch (inputs[0].elementType, function) {
        case (.float32, _), (.int64, .sum), (.int64, .mean), (.int64, .max), (.int64, .min), (.int64, .prod),
            (.int64, .sumSquare), (.int64, .l1):
            break
        default: throw .invalid("\(function) of \(inputs[0]) is not defined")
        }
        let shape = inputs[0].shape.enumerated().compactMap { axis, dimension in
            axes.contains(axis) ? (keepsAxes ? 1 : nil) : dimension
        }
        return [inputs[0].with(shape: shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.reduce(inputs[0], axes: axes, keepingAxes: keepsAxes)]
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        let rank = builder.shape(of: node.inputs[0]).count
        let source = keepsAxes ? axis : (0..<rank).filter { !axes.contains($0) }[axis]
        guard !axes.contains(source), let input = try builder.collapsed(node.inputs[0], axis: source) else {
            return nil
        }
        return try builder.emit(self, input)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let function = function
        let shape = inputs[0].shape
        let axes = Set(axes)
        let count = Double(inputs[0].count)
        if inputs[0].elementType == .int64 {
            return Kernel(operationCount: count) { arguments in
                Rows.reduce(
                    function, arguments.input(0, as: Int64.self), shape: shape, axes: axes, into: arguments.output(0))
            }
        }
        return Kernel(operationCount: count) { arguments in
            Rows.reduce(
                function, arguments.input(0, as: Float.self), shape: shape, axes: axes, into: arguments.output(0),
                pool: arguments.pool)
        }
    }
}
