public import TensorGraph

/// The same elements in the same order under another shape. Costs nothing: it shares its input's memory.
public struct View: ExecutableOperation, ElementMove {
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

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        return try builder.view(gradient, builder.shape(of: node.inputs[0]))
    }

    public func isInjective(inputs: [TensorType], constants: [Constant?]) -> Bool { true }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        // An axis of the same size behind the same number of elements is the same axis.
        let before = builder.shape(of: node.inputs[0])
        guard
            let source = before.indices.first(where: {
                before[$0] == shape[axis] && before[..<$0].elementCount == shape[..<axis].elementCount
            })
        else {
            return try builder.elementwiseView(node.inputs[0], shape).flatMap { value throws(GraphError) in
                try builder.collapsed(value, axis: axis)
            }
        }
        guard let input = try builder.collapsed(node.inputs[0], axis: source) else { return nil }
        var collapsed = shape
        collapsed[axis] = 1
        return try builder.view(input, collapsed)
    }

    public var viewedInput: Int? { 0 }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let byteCount = inputs[0].byteCount
        // Where the plan could not share the memory after all.
        return Kernel { arguments in
            if UnsafeRawPointer(arguments.outputs[0]) != arguments.inputs[0] {
                arguments.outputs[0].copyMemory(from: arguments.inputs[0], byteCount: byteCount)
            }
        }
    }
}
