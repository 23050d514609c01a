/// What a scatter does where an entry already has a value.
public enum ScatterReduction: Hashable, Sendable, CaseIterable {
    /// The last update stays.
    case none
    case add, mul, max, min

    /// For floats; a NaN on either side stays.
    @inline(__always)
    func combine(_ old: Float, _ update: Float) -> Float {
        switch self {
        case .none: update
        case .add: old + update
        case .mul: old * update
        case .max: old.isNaN || old > update ? old : update
        case .min: old.isNaN || old < update ? old : update
        }
    }

    /// For integers, which wrap around.
    @inline(__always)
    func combine(_ old: Int64, _ update: Int64) -> Int64 {
        switch self {
        case .none: update
        case .add: old &+ update
        case .mul: old &* update
        case .max: Swift.max(old, update)
        case .min: Swift.min(old, update)
        }
    }
}
