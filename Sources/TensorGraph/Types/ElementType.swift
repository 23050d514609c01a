/// How the elements of a value are stored while a graph runs.
///
/// Every floating-point type of a model computes in `float32`, every integer type in `int64`; the type a tensor has in
/// the file is kept by whoever reads and writes the file. `float64` holds what must not lose precision or range:
/// squared per-sample norms.
public enum ElementType: UInt8, Hashable, Sendable, CaseIterable {
    case float32
    case float64
    case int64
    case bool

    /// Size of one element in bytes.
    public var size: Int {
        switch self {
        case .float32: 4
        case .float64, .int64: 8
        case .bool: 1
        }
    }

    public var isFloatingPoint: Bool { self == .float32 || self == .float64 }
}

extension ElementType: CustomStringConvertible {
    public var description: String {
        switch self {
        case .float32: "f32"
        case .float64: "f64"
        case .int64: "i64"
        case .bool: "bool"
        }
    }
}
