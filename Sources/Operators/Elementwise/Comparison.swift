public import Kernels
public import TensorGraph

/// Compares two tensors of one type, element by element, with broadcasting. Truth values know equality only.
public struct Comparison: ExecutableOperation {
    public let function: ComparisonFunction

    public init(_ function: ComparisonFunction) { self.function = function }

    public var description: String { "\(function)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard let shape = broadcastedShape(inputs.map(\.shape)) else {
            throw .invalid("\(inputs[0]) and \(inputs[1]) do not broadcast together")
        }
        let type = inputs[0].elementType
        guard type == inputs[1].elementType, type != .float64, type != .bool || function == .equal else {
            throw .invalid("\(function) cannot compare \(inputs[0]) and \(inputs[1])")
        }
        return [TensorType(.bool, shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.elementwise(inputs, outputRank: outputs[0].rank)]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? { nil }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let function = function
        let (a, b, out) = (inputs[0].shape, inputs[1].shape, outputs[0].shape)
        let count = Double(outputs[0].count)
        switch inputs[0].elementType {
        case .bool:
            return Kernel(operationCount: count) { arguments in
                Elementwise.compare(
                    function, arguments.input(0, as: UInt8.self), a, arguments.input(1, as: UInt8.self), b,
                    into: arguments.output(0), out, pool: arguments.pool)
            }
        case .int64:
            return Kernel(operationCount: count) { arguments in
                Elementwise.compare(
                    function, arguments.input(0, as: Int64.self), a, arguments.input(1, as: Int64.self), b,
                    into: arguments.output(0), out, pool: arguments.pool)
            }
        case .float32, .float64:
            return Kernel(operationCount: count) { arguments in
                Elementwise.compare(
                    function, arguments.input(0, as: Float.self), a, arguments.input(1, as: Float.self), b,
                    into: arguments.output(0), out, pool: arguments.pool)
            }
        }
    }
}
