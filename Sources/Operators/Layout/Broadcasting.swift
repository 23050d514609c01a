import Kernels
public import TensorGraph

/// Repeats a tensor along its axes of size 1, and along new leading axes.
public struct Broadcasting: ExecutableOperation, ElementMove {
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
        if let factor = inputs[0].factor, shape[factor.axis + shape.count - inputs[0].type.rank] == 0 {
            throw BatchMixing(axis: factor.axis, "it drops the samples")
        }
        return [try BatchRules.elementwise(inputs, outputRank: shape.count)]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        return try builder.sum(gradient, toBroadcastable: builder.shape(of: node.inputs[0]))
    }

    /// A parameter repeated once per sample (an expanded class token): sample i's gradient is the sum over its own copy.
    public func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        try builder.broadcastSite(of: node, operand: index, elementGradient: outputGradients[0])
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        let before = builder.shape(of: node.inputs[0])
        let source = axis - (shape.count - before.count)
        var input = node.inputs[0]
        if source >= 0, before[source] != 1 {
            guard let own = try builder.collapsed(input, axis: source) else { return nil }
            input = own
        }
        var collapsed = shape
        collapsed[axis] = 1
        return try builder.broadcast(input, to: collapsed)
    }

    public func isInjective(inputs: [TensorType], constants: [Constant?]) -> Bool {
        inputs[0].count == shape.elementCount
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (from, to) = (inputs[0].shape, shape)
        func prepared<Element: FixedWidthInteger & BitwiseCopyable & Sendable>(_: Element.Type) -> Kernel {
            Kernel { arguments in
                Layout.expand(
                    arguments.input(0, as: Element.self), shape: from, into: arguments.output(0), outShape: to,
                    pool: arguments.pool)
            }
        }
        return prepared(inputs[0].elementType.carrier)
    }
}
