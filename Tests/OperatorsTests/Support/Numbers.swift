import TensorGraph

/// Reproducible numbers for tests (the linear congruential generator of Knuth's MMIX).
struct Numbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    private mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }

    /// Between -1 and 1.
    mutating func floats(_ shape: [Int]) -> Constant {
        Constant((0..<shape.elementCount).map { _ in Float(Double(next()) / 1_073_741_824 - 1) }, shape: shape)
    }

    mutating func integers(_ shape: [Int], below bound: Int) -> Constant {
        Constant((0..<shape.elementCount).map { _ in Int64(next() % UInt64(bound)) }, shape: shape)
    }
}

extension Constant {
    /// What belongs to sample `sample` of a tensor whose samples lie at `factor`.
    func sample(_ sample: Int, of factor: BatchFactor) -> Constant {
        let batch = factor.batchSize(in: type.shape)
        let (leading, trailing) = (factor.leading(in: type.shape), factor.trailing(in: type.shape))
        var shape = type.shape
        shape[factor.axis] = factor.outer * factor.inner
        let places = (0..<leading).flatMap { outer in
            (0..<trailing).map { (outer * batch + sample) * trailing + $0 }
        }
        if type.elementType == .int64 {
            let all = int64Values
            return Constant(places.map { all[$0] }, shape: shape)
        }
        let all = floatValues
        return Constant(places.map { all[$0] }, shape: shape)
    }

    /// The same tensor with NaN in place of one sample.
    func poisoning(_ sample: Int, of factor: BatchFactor) -> Constant {
        let batch = factor.batchSize(in: type.shape)
        let trailing = factor.trailing(in: type.shape)
        let values = floatValues.enumerated().map { index, value in
            index / trailing % batch == sample ? Float.nan : value
        }
        return Constant(values, shape: type.shape)
    }

    var doubles: [Double] {
        type.elementType == .float64
            ? Array(UnsafeRawBufferPointer(rebasing: bytes[..<type.byteCount]).bindMemory(to: Double.self))
            : floatValues.map(Double.init)
    }
}

/// Whether two lists agree up to `tolerance` of the largest magnitude in them.
func agree(_ left: [Double], _ right: [Double], tolerance: Double = 1e-5) -> Bool {
    guard left.count == right.count else { return false }
    let scale = max(1e-3, (left + right).map(\.magnitude).max() ?? 0)
    return zip(left, right).allSatisfy { ($0 - $1).magnitude <= tolerance * scale }
}

func dot(_ left: [Double], _ right: [Double]) -> Double { zip(left, right).reduce(0) { $0 + $1.0 * $1.1 } }
