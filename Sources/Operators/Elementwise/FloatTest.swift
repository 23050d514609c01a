import Kernels
public import TensorGraph

/// Which floats are not ordinary numbers (ONNX IsNaN, IsInf).
public struct FloatTest: ExecutableOperation {
    public enum Property: Hashable, Sendable {
        case isNaN
        case isInfinite(positive: Bool, negative: Bool)
    }

    public let property: Property

    public init(_ property: Property) { self.property = property }

    public var description: String { "\(property)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .float32 else { throw .invalid("\(property) needs a float tensor") }
        return [TensorType(.bool, inputs[0].shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [inputs[0].factor]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? { nil }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let count = outputs[0].count
        switch property {
        case .isNaN:
            // Only a NaN differs from itself.
            return Kernel(operationCount: Double(count)) { arguments in
                let (x, out) = (arguments.input(0, as: Float.self), arguments.output(0, as: UInt8.self))
                Elementwise.compare(.equal, x, [count], x, [count], into: out, [count], pool: arguments.pool)
                Elementwise.not(out, into: out, count: count, pool: arguments.pool)
            }
        case .isInfinite(let positive, let negative):
            return map(count) { (x: Float) in
                (positive && x == .infinity) || (negative && x == -.infinity) ? UInt8(1) : 0
            }
        }
    }
}
