public import Kernels
public import TensorGraph

/// A function of two truth values, element by element, with broadcasting.
public struct Logical: ExecutableOperation {
    public let function: LogicalFunction

    public init(_ function: LogicalFunction) { self.function = function }

    public var description: String { "\(function)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard let shape = broadcastedShape(inputs.map(\.shape)) else {
            throw .invalid("\(inputs[0]) and \(inputs[1]) do not broadcast together")
        }
        guard inputs.allSatisfy({ $0.elementType == .bool }) else {
            throw .invalid("\(function) needs truth values, not \(inputs[0]) and \(inputs[1])")
        }
        return [TensorType(.bool, shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.elementwise(inputs, outputRank: outputs[0].rank)]
    }

    public var overwritableInputs: [Int] { [0, 1] }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? { nil }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let function = function
        let (a, b, out) = (inputs[0].shape, inputs[1].shape, outputs[0].shape)
        return Kernel(operationCount: Double(outputs[0].count)) { arguments in
            Elementwise.logical(
                function, arguments.input(0), a, arguments.input(1), b, into: arguments.output(0), out,
                pool: arguments.pool)
        }
    }
}

/// The opposite of each truth value.
public struct Not: ExecutableOperation {
    public init() {}

    public var description: String { "not" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .bool else { throw .invalid("not needs truth values, not \(inputs[0])") }
        return inputs
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [inputs[0].factor]
    }

    public var overwritableInputs: [Int] { [0] }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? { nil }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let count = outputs[0].count
        return Kernel(operationCount: Double(count)) { arguments in
            Elementwise.not(arguments.input(0), into: arguments.output(0), count: count, pool: arguments.pool)
        }
    }
}
