import Kernels
public import ONNXFormat
public import TensorGraph

/// The same bits read as another type of the same width (ONNX BitCast).
public struct Reinterpretation: ExecutableOperation {
    public let source: ONNXElementType
    public let target: ONNXElementType

    public init(from source: ONNXElementType, to target: ONNXElementType) {
        self.source = source
        self.target = target
    }

    public var description: String { "bits of \(source) as \(target)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard source.bitWidth == target.bitWidth else {
            throw .invalid("the bits of \(source) are not as many as those of \(target)")
        }
        guard let storage = target.storage, source.storage == inputs[0].elementType, source != .float64,
            target != .float64
        else { throw .unsupported("the bits of \(source) as \(target) are not stored") }
        return [TensorType(storage, inputs[0].shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [inputs[0].factor]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        throw .unsupported("bits have no gradient; freeze what is computed before by --frozen")
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (source, target, count) = (source, target, inputs[0].count)
        switch (inputs[0].elementType, outputs[0].elementType) {
        case (.float32, .int64): return map(count) { (x: Float) in Self.integer(Self.bits(x, source), target) }
        case (.int64, .float32): return map(count) { (x: Int64) in Self.float(x, target) }
        case (.float32, .float32): return map(count) { (x: Float) in Self.float(Self.bits(x, source), target) }
        case (.bool, .int64): return map(count) { (x: UInt8) in x == 0 ? Int64(0) : 1 }
        case (.int64, .bool): return map(count) { (x: Int64) in x == 0 ? UInt8(0) : 1 }
        default: return map(count) { (x: Int64) in Self.integer(x, target) }
        }
    }

    private static func bits(_ x: Float, _ type: ONNXElementType) -> Int64 {
        switch type {
        case .float16: Int64(Float16(x).bitPattern)
        case .bfloat16: Int64(x.bitPattern >> 16)
        default: Int64(x.bitPattern)
        }
    }

    private static func float(_ bits: Int64, _ type: ONNXElementType) -> Float {
        switch type {
        case .float16: Float(Float16(bitPattern: UInt16(truncatingIfNeeded: bits)))
        case .bfloat16: Float(bitPattern: UInt32(truncatingIfNeeded: bits) << 16)
        default: Float(bitPattern: UInt32(truncatingIfNeeded: bits))
        }
    }

    /// The bits as an integer of that type: signed ones extend their sign.
    private static func integer(_ bits: Int64, _ type: ONNXElementType) -> Int64 { wrapped(bits, to: type) }
}
