import TensorGraph

extension ElementType {
    /// An integer as wide as one element: an operation that only moves elements needs to know no more of them.
    var carrier: any (FixedWidthInteger & BitwiseCopyable & Sendable).Type {
        switch size {
        case 1: UInt8.self
        case 4: UInt32.self
        default: UInt64.self
        }
    }

    /// Bits that stand where an element does not exist: NaN for floats, so that the sample it belongs to is left out of
    /// a private sum; 0 for integers and bools, which have no such value.
    var missingBits: UInt64 {
        switch self {
        case .float32: UInt64(Float.nan.bitPattern)
        case .float64: Double.nan.bitPattern
        case .int64, .bool: 0
        }
    }
}
