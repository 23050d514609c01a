public import Kernels
public import TensorGraph

/// The index of the greatest or least entry along one axis (ONNX ArgMax, ArgMin).
public struct ArgumentSearch: ExecutableOperation {
    public let extreme: ArgExtreme
    public let axis: Int
    public let keepsAxis: Bool
    /// Whether the last of several equal entries is meant, not the first.
    public let selectsLast: Bool

    public init(_ extreme: ArgExtreme, axis: Int, keepsAxis: Bool, selectsLast: Bool) {
        self.extreme = extreme
        self.axis = axis
        self.keepsAxis = keepsAxis
        self.selectsLast = selectsLast
    }

    public var description: String { "index of the \(extreme) along \(axis)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        var shape = inputs[0].shape
        let type = inputs[0].elementType
        guard shape.indices.contains(axis), type == .float32 || type == .int64 else {
            throw .invalid("cannot search \(inputs[0]) along axis \(axis)")
        }
        guard shape[axis] > 0 else { throw .invalid("axis \(axis) of \(inputs[0]) has no entry to choose") }
        if keepsAxis { shape[axis] = 1 } else { shape.remove(at: axis) }
        return [TensorType(.int64, shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.reduce(inputs[0], axes: [axis], keepingAxes: keepsAxis)]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? { nil }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (extreme, selectsLast) = (extreme, selectsLast)
        let shape = inputs[0].shape
        let (outer, n) = (shape[..<axis].elementCount, shape[axis])
        let inner = shape[(axis + 1)...].elementCount
        let count = Double(inputs[0].count)
        if inputs[0].elementType == .int64 {
            return Kernel(operationCount: count) { arguments in
                Rows.argument(
                    extreme, arguments.input(0, as: Int64.self), into: arguments.output(0), outer: outer, n: n,
                    inner: inner, selectsLast: selectsLast, pool: arguments.pool)
            }
        }
        return Kernel(operationCount: count) { arguments in
            Rows.argument(
                extreme, arguments.input(0, as: Float.self), into: arguments.output(0), outer: outer, n: n,
                inner: inner, selectsLast: selectsLast, pool: arguments.pool)
        }
    }
}
