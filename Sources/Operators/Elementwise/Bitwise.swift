public import Kernels
public import TensorGraph

/// A logical function of each pair of bits of two integers, with broadcasting.
public struct Bitwise: ExecutableOperation {
    public let function: LogicalFunction

    public init(_ function: LogicalFunction) { self.function = function }

    public var description: String { "bitwise \(function)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard let shape = broadcastedShape(inputs.map(\.shape)), inputs.allSatisfy({ $0.elementType == .int64 }) else {
            throw .invalid("bitwise \(function) cannot combine \(inputs[0]) and \(inputs[1])")
        }
        return [TensorType(.int64, shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.elementwise(inputs, outputRank: outputs[0].rank)]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? { nil }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let function = function
        let shape = outputs[0].shape
        let steps = inputs.map { input in
            let padded = input.shape.leftPadded(toRank: shape.count)
            return zip(padded, padded.rowMajorStrides).map { $0 == 1 ? 0 : $1 }
        }
        let count = outputs[0].count
        return Kernel(operationCount: Double(count)) { arguments in
            let (a, b) = (arguments.input(0, as: Int64.self), arguments.input(1, as: Int64.self))
            let out = arguments.output(0, as: Int64.self)
            for index in 0..<count {
                var (rest, left, right) = (index, 0, 0)
                for axis in shape.indices.reversed() {
                    let position = rest % shape[axis]
                    rest /= shape[axis]
                    left += position * steps[0][axis]
                    right += position * steps[1][axis]
                }
                out[index] =
                    switch function {
                    case .and: a[left] & b[right]
                    case .or: a[left] | b[right]
                    case .xor: a[left] ^ b[right]
                    }
            }
        }
    }
}
