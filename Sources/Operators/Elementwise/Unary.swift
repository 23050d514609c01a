public import Kernels
public import TensorGraph

/// A function of one float, element by element.
public struct Unary: ExecutableOperation, ElementwiseOperation {
    public let function: UnaryFunction

    public init(_ function: UnaryFunction) { self.function = function }

    public var description: String { "\(function)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .float32 else { throw .invalid("\(function) needs a float tensor") }
        return inputs
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [inputs[0].factor]
    }

    public var overwritableInputs: [Int] { [0] }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let function = function
        let count = outputs[0].count
        return Kernel(operationCount: Double(count)) { arguments in
            Elementwise.apply(
                function, arguments.input(0), into: arguments.output(0), count: count, pool: arguments.pool)
        }
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        switch function {
        case .sign, .floor, .ceil, .round: return nil
        case .neg: return try builder.unary(.neg, gradient)
        case .affine(let scale, _): return try builder.unary(.affine(scale: scale, offset: 0), gradient)
        default:
            // From the output where that is enough: the next layer keeps it anyway, and the input can go.
            let fromOutput = function.hasDerivativeFromOutput
            return try builder.emit(
                UnaryGradient(function, fromOutput: fromOutput), gradient, fromOutput ? node.output : node.inputs[0])
        }
    }
}
