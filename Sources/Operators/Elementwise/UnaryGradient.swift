public import Kernels
public import TensorGraph

/// g * f'(x), from inputs g and x, or g and y = f(x) where the derivative can be had from y.
public struct UnaryGradient: ExecutableOperation {
    public let function: UnaryFunction
    /// Whether the second input is f(x) instead of x.
    public let fromOutput: Bool

    public init(_ function: UnaryFunction, fromOutput: Bool) {
        precondition(!fromOutput || function.hasDerivativeFromOutput, "the derivative of \(function) needs its input")
        self.function = function
        self.fromOutput = fromOutput
    }

    public var description: String { "gradient of \(function) from its \(fromOutput ? "output" : "input")" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0] == inputs[1], inputs[0].elementType == .float32 else {
            throw .invalid("the gradient \(inputs[0]) of \(function) does not fit \(inputs[1])")
        }
        return [inputs[0]]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.elementwise(inputs, outputRank: outputs[0].rank)]
    }

    public var overwritableInputs: [Int] { [0, 1] }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let function = function
        let fromOutput = fromOutput
        let count = outputs[0].count
        return Kernel(operationCount: 2 * Double(count)) { arguments in
            if fromOutput {
                Elementwise.derivativeFromOutput(
                    function, arguments.input(1), gradient: arguments.input(0), into: arguments.output(0),
                    count: count, pool: arguments.pool)
            } else {
                Elementwise.derivative(
                    function, arguments.input(1), gradient: arguments.input(0), into: arguments.output(0),
                    count: count, pool: arguments.pool)
            }
        }
    }
}
