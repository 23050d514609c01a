public import TensorGraph

/// The element type that a tensor has in a model or data file; raw values are those of ONNX `TensorProto.DataType`.
public enum TensorDataType: Int, Hashable, Sendable, CaseIterable {
    case float32 = 1
    case uint8 = 2
    case int8 = 3
    case uint16 = 4
    case int16 = 5
    case int32 = 6
    case int64 = 7
    case string = 8
    case bool = 9
    case float16 = 10
    case float64 = 11
    case uint32 = 12
    case uint64 = 13
    case complex64 = 14
    case complex128 = 15
    case bfloat16 = 16

    /// How tensors of this type are stored while a graph runs; nil if they are not computed with.
    public var elementType: ElementType? {
        switch self {
        case .float32, .float16, .float64, .bfloat16: .float32
        case .uint8, .int8, .uint16, .int16, .int32, .int64, .uint32, .uint64: .int64
        case .bool: .bool
        case .string, .complex64, .complex128: nil
        }
    }
}
