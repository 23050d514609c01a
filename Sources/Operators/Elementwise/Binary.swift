public import Kernels
public import TensorGraph

/// A function of two floats or two integers, element by element, with broadcasting.
public struct Binary: Operation {
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
}
