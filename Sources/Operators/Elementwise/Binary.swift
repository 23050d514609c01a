public import Kernels
public import TensorGraph

/// A function of two floats or two integers, element by element, with broadcasting.
public struct Binary: ExecutableOperation, ElementwiseOperation {
    public let function: BinaryFunction

    public init(_ function: BinaryFunction) { self.function = function }

    public var description: String { "\(function)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard let shape = broadcastedShape(inputs.map(\.shape)) else {
            throw .invalid("\(inputs[0]) and \(inputs[1]) do not broadcast together")
        }
        let type = inputs[0].elementType
        guard type == inputs[1].elementType, type == .float32 || type == .int64 else {
            throw .invalid("\(function) cannot combine \(inputs[0]) and \(inputs[1])")
        }
        return [TensorType(type, shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.elementwise(inputs, outputRank: outputs[0].rank)]
    }

    public var overwritableInputs: [Int] { [0, 1] }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let function = function
        let (a, b, out) = (inputs[0].shape, inputs[1].shape, outputs[0].shape)
        let count = Double(outputs[0].count)
        if outputs[0].elementType == .int64 {
            return Kernel(operationCount: count) { arguments in
                Elementwise.broadcastBinary(
                    function, arguments.input(0, as: Int64.self), a, arguments.input(1, as: Int64.self), b,
                    into: arguments.output(0, as: Int64.self), out, pool: arguments.pool)
            }
        }
        return Kernel(operationCount: count) { arguments in
            Elementwise.broadcastBinary(
                function, arguments.input(0, as: Float.self), a, arguments.input(1, as: Float.self), b,
                into: arguments.output(0, as: Float.self), out, pool: arguments.pool)
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
}
