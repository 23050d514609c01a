public import TensorGraph

/// Reproducible numbers for tests (the linear congruential generator of Knuth's MMIX).
public struct Numbers {
    private var state: UInt64

    public init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    private mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }

    public mutating func integer(below bound: Int) -> Int { Int(next() % UInt64(bound)) }

    /// Each between -scale and scale.
    public mutating func floats(_ shape: [Int], scale: Double = 1) -> Constant {
        let values = (0..<shape.elementCount).map { _ in Float((Double(next()) / 1_073_741_824 - 1) * scale) }
        return Constant(values, shape: shape)
    }

    /// Each in 0..<bound.
    public mutating func integers(_ shape: [Int], below bound: Int) -> Constant {
        Constant((0..<shape.elementCount).map { _ in Int64(integer(below: bound)) }, shape: shape)
    }
}
