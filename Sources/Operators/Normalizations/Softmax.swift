public import Kernels
public import TensorGraph

/// softmax(x) or log softmax(x) along one axis.
public struct Softmax: ExecutableOperation {
    public let form: SoftmaxForm
    public let axis: Int

    public init(_ form: SoftmaxForm, axis: Int) {
        self.form = form
        self.axis = axis
    }

    public var description: String { "\(form) along \(axis)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .float32, inputs[0].shape.indices.contains(axis) else {
            throw .invalid("there is no softmax of \(inputs[0]) along axis \(axis)")
        }
        return inputs
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.along([axis], inputs[0], "normalises")]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        return try builder.emit(SoftmaxGradient(form, axis: axis), node.output, gradient)
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        guard axis != self.axis, let input = try builder.collapsed(node.inputs[0], axis: axis) else { return nil }
        return try builder.emit(self, input)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = AxisSizes(inputs[0].shape, axis)
        return Kernel(operationCount: 5 * Double(inputs[0].count)) { [form] arguments in
            Rows.softmax(
                form, arguments.input(0), into: arguments.output(0), outer: size.outer, n: size.n, inner: size.inner,
                pool: arguments.pool)
        }
    }

    public var overwritableInputs: [Int] { [0] }
}

/// Gradient of the input of `Softmax` from its output and the output gradient.
public struct SoftmaxGradient: BackwardOperation {
    public let form: SoftmaxForm
    public let axis: Int

    public init(_ form: SoftmaxForm, axis: Int) {
        self.form = form
        self.axis = axis
    }

    public var description: String { "\(form) gradient along \(axis)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0] == inputs[1] else { throw .invalid("\(inputs[1]) is not the gradient of \(inputs[0])") }
        return [inputs[0]]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = AxisSizes(inputs[0].shape, axis)
        return Kernel(operationCount: 4 * Double(inputs[0].count)) { [form] arguments in
            Rows.softmaxGradient(
                form, output: arguments.input(0), gradient: arguments.input(1), into: arguments.output(0),
                outer: size.outer, n: size.n, inner: size.inner, pool: arguments.pool)
        }
    }

    public var overwritableInputs: [Int] { [0, 1] }
}

/// A tensor as [outer, n, inner] around one of its axes.
private struct AxisSizes {
    let outer: Int
    let n: Int
    let inner: Int

    init(_ shape: [Int], _ axis: Int) {
        outer = shape[..<axis].elementCount
        n = shape[axis]
        inner = shape[(axis + 1)...].elementCount
    }
}
