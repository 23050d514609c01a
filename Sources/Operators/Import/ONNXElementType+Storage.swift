public import ONNXFormat
public import TensorGraph

extension ONNXElementType {
    /// How tensors of this type are stored while a graph runs; nil if they are not computed with.
    public var storage: ElementType? {
        switch self {
        case .float32, .float16, .float64, .bfloat16: .float32
        case .uint8, .int8, .uint16, .int16, .int32, .int64, .uint32, .uint64: .int64
        case .bool: .bool
        default: nil
        }
    }
}
