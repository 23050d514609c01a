public import Kernels
public import TensorGraph

/// A function of the bits of two integers, with broadcasting.
public struct Bitwise: ExecutableOperation {
    public enum Function: Hashable, Sendable, CustomStringConvertible {
        /// Of each pair of bits.
        case logical(LogicalFunction)
        /// The first number moved by as many bits as the second says (ONNX BitShift). Zeros move in.
        /// - Parameter unsigned64: whether the numbers are the bits of unsigned ones of 64 bits.
        case shift(left: Bool, unsigned64: Bool)

        public var description: String {
            switch self {
            case .logical(let function): "\(function)"
            case .shift(let left, _): "shift \(left ? "left" : "right")"
            }
        }
    }

    public let function: Function

    public init(_ function: Function) { self.function = function }

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
        return Self.kernel(inputs.map(\.shape), outputs[0].shape) { a, b in
            switch function {
            case .logical(.and): a & b
            case .logical(.or): a | b
            case .logical(.xor): a ^ b
            case .shift(let left, let unsigned64): Self.shifted(a, by: b, left: left, unsigned64: unsigned64)
            }
        }
    }

    private static func shifted(_ x: Int64, by count: Int64, left: Bool, unsigned64: Bool) -> Int64 {
        // A negative count stands for a great unsigned one.
        let shift = count < 0 ? 64 : count
        if left { return x << shift }
        return unsigned64 ? Int64(bitPattern: UInt64(bitPattern: x) >> UInt64(bitPattern: shift)) : x >> shift
    }

    /// Combines each pair of two integers, broadcast to `shape`.
    private static func kernel(
        _ operands: [[Int]], _ shape: [Int], _ combine: @escaping @Sendable (Int64, Int64) -> Int64
    ) -> Kernel {
        let steps = operands.map { operand in
            let padded = operand.leftPadded(toRank: shape.count)
            return zip(padded, padded.rowMajorStrides).map { $0 == 1 ? 0 : $1 }
        }
        let count = shape.elementCount
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
                out[index] = combine(a[left], b[right])
            }
        }
    }
}
