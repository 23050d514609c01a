/// The type in which an array's elements are stored.
public enum StoredType: String, Sendable, Hashable, CaseIterable {
    case bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64

    /// Size of one element in bytes.
    public var byteCount: Int {
        switch self {
        case .bool, .int8, .uint8: 1
        case .int16, .uint16, .float16, .bfloat16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }

    /// Whether elements are floating-point numbers.
    public var isFloatingPoint: Bool {
        switch self {
        case .float16, .bfloat16, .float32, .float64: true
        default: false
        }
    }
}

/// A Swift type whose values an array can be made from, with its stored type.
public protocol StorableElement: BitwiseCopyable, Sendable {
    static var storedType: StoredType { get }
}

extension Bool: StorableElement { public static var storedType: StoredType { .bool } }
extension Int8: StorableElement { public static var storedType: StoredType { .int8 } }
extension Int16: StorableElement { public static var storedType: StoredType { .int16 } }
extension Int32: StorableElement { public static var storedType: StoredType { .int32 } }
extension Int64: StorableElement { public static var storedType: StoredType { .int64 } }
extension UInt8: StorableElement { public static var storedType: StoredType { .uint8 } }
extension UInt16: StorableElement { public static var storedType: StoredType { .uint16 } }
extension UInt32: StorableElement { public static var storedType: StoredType { .uint32 } }
extension UInt64: StorableElement { public static var storedType: StoredType { .uint64 } }
extension Float: StorableElement { public static var storedType: StoredType { .float32 } }
extension Double: StorableElement { public static var storedType: StoredType { .float64 } }

extension StoredType {
    /// Number of elements of a shape, or nil when a dimension is negative or the byte size overflows `Int`.
    ///
    /// Zero dimensions are left out of the overflow check's product, so that every sub-shape of an accepted shape
    /// (one row, for instance) has a representable size too.
    public func elementCount(ofShape shape: [Int]) -> Int? {
        var product = byteCount
        var hasZero = false
        for extent in shape {
            if extent < 0 { return nil }
            if extent == 0 {
                hasZero = true
                continue
            }
            let (next, overflow) = product.multipliedReportingOverflow(by: extent)
            if overflow { return nil }
            product = next
        }
        return hasZero ? 0 : product / byteCount
    }
}
