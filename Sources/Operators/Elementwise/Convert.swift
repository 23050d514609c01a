import Kernels
public import ONNXFormat
public import TensorGraph

/// Changes the element type (ONNX Cast).
///
/// What a type holds is kept, though every float is stored in float32 and every integer in int64: float16 and bfloat16
/// round to nearest even and overflow to infinity, narrow integers wrap, floats truncate toward zero on their way to
/// integers (NaN gives 0, what lies outside int64 its nearest bound), and anything but 0 is true.
public struct Convert: ExecutableOperation, ElementwiseOperation {
    public let target: ONNXElementType
    /// Whether a float of 8 bits takes its greatest value for what is too large, not infinity or NaN.
    public let saturates: Bool
    /// How numbers become powers of two, where the target holds nothing else.
    public let scaleRounding: FloatingPointRoundingRule

    public init(
        to target: ONNXElementType, saturates: Bool = true, scaleRounding: FloatingPointRoundingRule = .up
    ) {
        self.target = target
        self.saturates = saturates
        self.scaleRounding = scaleRounding
    }

    public var description: String { "convert to \(target)" }

    /// Whether the target cannot hold every value that its storage can.
    public var narrows: Bool {
        switch target {
        case .float32, .float64, .int64, .uint64, .bool: false
        default: true
        }
    }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard let storage = target.storage, inputs[0].elementType != .float64 else {
            throw .unsupported("it converts \(inputs[0]) to \(target), a type that is not computed with")
        }
        return [TensorType(storage, inputs[0].shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [inputs[0].factor]
    }

    /// Rounding is passed straight through: the gradient of float to float is the output's. No other pair has one.
    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard builder.type(of: node.inputs[0]).elementType == .float32,
            builder.type(of: node.output).elementType == .float32
        else { return nil }
        return outputGradients[0]
    }

    /// From a float to the one that the target holds in its place.
    private var floatRounding: @Sendable (Float) -> Float {
        let (saturates, scaleRounding) = (saturates, scaleRounding)
        if let format = NarrowFloat(target) { return { format.rounded($0, saturates: saturates) } }
        switch target {
        case .float16: return { Float(Float16($0)) }
        case .bfloat16: return roundedToBFloat16
        case .float8E8M0: return { roundedToPowerOfTwo($0, scaleRounding) }
        default: return { $0 }
        }
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let target = target
        let count = outputs[0].count
        let rounding = floatRounding
        switch (inputs[0].elementType, outputs[0].elementType) {
        case (.float32, .float32): return map(count, rounding)
        case (.float32, .int64): return map(count) { (x: Float) in wrapped(truncated(x), to: target) }
        case (.int64, .int64): return map(count) { (x: Int64) in wrapped(x, to: target) }
        case (.int64, .float32): return map(count) { (x: Int64) in rounding(Float(x)) }
        case (.bool, .float32): return map(count) { (x: UInt8) in x == 0 ? Float(0) : 1 }
        case (.bool, .int64): return map(count) { (x: UInt8) in x == 0 ? Int64(0) : 1 }
        case (.bool, .bool): return map(count) { (x: UInt8) in x == 0 ? UInt8(0) : 1 }
        case (.float32, .bool): return map(count) { (x: Float) in x == 0 ? UInt8(0) : 1 }
        case (.int64, .bool): return map(count) { (x: Int64) in x == 0 ? UInt8(0) : 1 }
        case (.float64, _), (_, .float64): preconditionFailure("the shape rule refuses float64")
        }
    }
}

/// A kernel that maps each element by `body`.
func map<Input: BitwiseCopyable, Output: BitwiseCopyable>(
    _ count: Int, _ body: @escaping @Sendable (Input) -> Output
) -> Kernel {
    Kernel(operationCount: Double(count)) { arguments in
        let x = arguments.input(0, as: Input.self)
        let out = arguments.output(0, as: Output.self)
        arguments.pool.forRanges(count, grain: 16_384) { range, _ in
            for index in range { out[index] = body(x[index]) }
        }
    }
}

/// A scale of the Microscaling Formats: 2^-127 to 2^127.
private func roundedToPowerOfTwo(_ x: Float, _ rule: FloatingPointRoundingRule) -> Float {
    if x.isNaN { return x }
    let magnitude = min(max(x.magnitude, 0x1p-127), 0x1p127)
    let lower = Float(sign: .plus, exponent: Int(magnitude.exponent), significand: 1)
    let isRaised =
        switch rule {
        case .up: magnitude > lower
        case .down: false
        default: magnitude >= 1.5 * lower
        }
    return isRaised ? 2 * lower : lower
}

@Sendable
private func roundedToBFloat16(_ x: Float) -> Float {
    if x.isNaN { return x }
    // Half of the last kept bit, less one where it is even, carries into it exactly when rounding goes up.
    let bits = x.bitPattern
    return Float(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
}

private func truncated(_ x: Float) -> Int64 {
    if x.isNaN { return 0 }
    return Int64(exactly: x.rounded(.towardZero)) ?? (x < 0 ? .min : .max)
}

func wrapped(_ x: Int64, to type: ONNXElementType) -> Int64 {
    switch type {
    case .int2: (x << 62) >> 62
    case .uint2: x & 3
    case .int4: (x << 60) >> 60
    case .uint4: x & 15
    case .int8: Int64(Int8(truncatingIfNeeded: x))
    case .uint8: Int64(UInt8(truncatingIfNeeded: x))
    case .int16: Int64(Int16(truncatingIfNeeded: x))
    case .uint16: Int64(UInt16(truncatingIfNeeded: x))
    case .int32: Int64(Int32(truncatingIfNeeded: x))
    case .uint32: Int64(UInt32(truncatingIfNeeded: x))
    default: x
    }
}
