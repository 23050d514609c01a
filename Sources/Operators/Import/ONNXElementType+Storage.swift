public import ONNXFormat
public import TensorGraph

extension ONNXElementType {
    /// How tensors of this type are stored while a graph runs; nil if they are not computed with.
    public var storage: ElementType? {
        switch self {
        case .float32, .float16, .float64, .bfloat16, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ,
            .float8E8M0, .float4E2M1:
            .float32
        case .uint2, .int2, .uint4, .int4, .uint8, .int8, .uint16, .int16, .int32, .int64, .uint32, .uint64: .int64
        case .bool: .bool
        default: nil
        }
    }

    /// The type that holds whatever is stored so.
    init(widest storage: ElementType) {
        self =
            switch storage {
            case .float32: .float32
            case .float64: .float64
            case .int64: .int64
            case .bool: .bool
            }
    }
}
