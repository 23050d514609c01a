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
        case .isNaN: return map(count) { (x: Float) in x.isNaN ? UInt8(1) : 0 }
        case .isInfinite(let positive, let negative):
            return map(count) { (x: Float) in
                (positive && x == .infinity) || (negative && x == -.infinity) ? UInt8(1) : 0
            }
        }
    }
}
