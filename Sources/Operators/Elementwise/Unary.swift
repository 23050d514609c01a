public import Kernels
public import TensorGraph

/// A function of one float, element by element.
public struct Unary: Operation {
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
}
