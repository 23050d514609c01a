import Kernels
public import TensorGraph

/// Joins tensors along one axis.
public struct Concatenation: ExecutableOperation, ElementMove {
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

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        return try part(index, of: gradient, node, in: &builder)
    }

    /// The operand's own part of the output gradient, sample by sample.
    public func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        var own: ValueID?
        if let gradient = outputGradients[0] { own = try part(index, of: gradient, node, in: &builder) }
        return try builder.broadcastSite(of: node, operand: index, elementGradient: own)
    }

    private func part(_ index: Int, of gradient: ValueID, _ node: Node, in builder: inout GraphBuilder)
        throws(GraphError) -> ValueID
    {
        let start = node.inputs[..<index].reduce(0) { $0 + builder.shape(of: $1)[axis] }
        return try builder.slice(gradient, axis: axis, start..<start + builder.shape(of: node.inputs[index])[axis])
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        guard axis != self.axis else { return nil }
        var inputs: [ValueID] = []
        for input in node.inputs {
            guard let own = try builder.collapsed(input, axis: axis) else { return nil }
            inputs.append(own)
        }
        return try builder.concatenate(inputs, axis: self.axis)
    }

    public func isInjective(inputs: [TensorType], constants: [Constant?]) -> Bool { true }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let sizes = inputs.map { $0.shape[axis] }
        let outer = outputs[0].shape[..<axis].elementCount
        let inner = outputs[0].shape[(axis + 1)...].elementCount
        func prepared<Element: FixedWidthInteger & BitwiseCopyable & Sendable>(_: Element.Type) -> Kernel {
            Kernel { arguments in
                Layout.concatenate(
                    sizes.indices.map { arguments.input($0, as: Element.self) }, sizes: sizes, outer: outer,
                    inner: inner, into: arguments.output(0), pool: arguments.pool)
            }
        }
        return prepared(inputs[0].elementType.carrier)
    }
}
