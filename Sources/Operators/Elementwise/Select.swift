import Kernels
public import TensorGraph

/// condition ? a : b, element by element, with broadcasting; the inputs are condition, a, b (ONNX Where).
public struct Select: ExecutableOperation, ElementwiseOperation {
    public init() {}

    public var description: String { "select" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard let shape = broadcastedShape(inputs.map(\.shape)) else {
            throw .invalid("\(inputs[0]), \(inputs[1]) and \(inputs[2]) do not broadcast together")
        }
        guard inputs[0].elementType == .bool, inputs[1].elementType == inputs[2].elementType else {
            throw .invalid("cannot select between \(inputs[1]) and \(inputs[2]) by \(inputs[0])")
        }
        return [TensorType(inputs[1].elementType, shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.elementwise(inputs, outputRank: outputs[0].rank)]
    }

    public var overwritableInputs: [Int] { [1, 2] }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        switch outputs[0].elementType {
        case .float32: kernel(of: Float.self, inputs, outputs[0])
        case .float64: kernel(of: Double.self, inputs, outputs[0])
        case .int64: kernel(of: Int64.self, inputs, outputs[0])
        case .bool: kernel(of: UInt8.self, inputs, outputs[0])
        }
    }

    private func kernel<Element: BitwiseCopyable & Sendable>(
        of _: Element.Type, _ inputs: [TensorType], _ output: TensorType
    ) -> Kernel {
        let shapes = inputs.map(\.shape)
        return Kernel(operationCount: Double(output.count)) { arguments in
            Elementwise.select(
                arguments.input(0), shapes[0], arguments.input(1, as: Element.self), shapes[1],
                arguments.input(2, as: Element.self), shapes[2], into: arguments.output(0, as: Element.self),
                output.shape, pool: arguments.pool)
        }
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0],
            let full = try elementGradient(index, of: node, gradient, in: &builder)
        else { return nil }
        return try builder.sum(full, toBroadcastable: builder.shape(of: node.inputs[index]))
    }

    public func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        let full = try outputGradients[0].flatMap { gradient throws(GraphError) in
            try elementGradient(index, of: node, gradient, in: &builder)
        }
        return try builder.broadcastSite(of: node, operand: index, elementGradient: full)
    }

    /// The output's gradient where operand `index` was selected, else 0; of the output's shape.
    public func elementGradient(_ index: Int, of node: Node, _ gradient: ValueID, in builder: inout GraphBuilder)
        throws(GraphError) -> ValueID?
    {
        guard index > 0, builder.type(of: node.output).elementType == .float32 else { return nil }
        return index == 1
            ? try builder.select(node.inputs[0], gradient, builder.scalar(0))
            : try builder.select(node.inputs[0], builder.scalar(0), gradient)
    }
}
