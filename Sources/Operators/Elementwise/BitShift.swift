import Kernels
public import TensorGraph

/// Integers moved by a number of bits, with broadcasting (ONNX BitShift). Zeros move in.
public struct BitShift: ExecutableOperation {
    public let isLeft: Bool
    /// Whether the numbers are the bits of unsigned ones of 64 bits.
    public let isUnsigned64: Bool

    public init(isLeft: Bool, isUnsigned64: Bool) {
        self.isLeft = isLeft
        self.isUnsigned64 = isUnsigned64
    }

    public var description: String { "shift bits \(isLeft ? "left" : "right")" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard let shape = broadcastedShape(inputs.map(\.shape)), inputs.allSatisfy({ $0.elementType == .int64 }) else {
            throw .invalid("the bits of \(inputs[0]) cannot be shifted by \(inputs[1])")
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
        let (isLeft, isUnsigned64) = (isLeft, isUnsigned64)
        return Bitwise.kernel(inputs.map(\.shape), outputs[0].shape) { x, count in
            // A negative count stands for a great unsigned one.
            let shift = count < 0 ? 64 : count
            if isLeft { return x << shift }
            return isUnsigned64 ? Int64(bitPattern: UInt64(bitPattern: x) >> UInt64(bitPattern: shift)) : x >> shift
        }
    }
}
