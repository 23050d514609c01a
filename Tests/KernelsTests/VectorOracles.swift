import CVectorKernels
import Glibc

@testable import Kernels

/// A small deterministic generator: tests need repeatable numbers, not good ones.
struct TestNumbers {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }

    mutating func integer(_ range: Range<Int>) -> Int { range.lowerBound + Int(next() >> 33) % range.count }
    mutating func float(_ range: ClosedRange<Float>) -> Float {
        range.lowerBound + (range.upperBound - range.lowerBound) * Float(next() >> 40) / 16_777_215
    }
    mutating func floats(_ count: Int, _ range: ClosedRange<Float> = -3...3) -> [Float] {
        (0..<count).map { _ in float(range) }
    }
}

/// Every table that this processor runs.
func supportedTables() -> [UnsafePointer<vk_table>] {
    ["generic", "avx2", "avx512"].compactMap { (name: String) in vk_named(name) }
}

/// The distance of a float from a real number in units of the last place of that number.
func ulps(_ value: Float, _ exact: Double) -> Double {
    let nearest = Float(exact)
    if value.isNaN || nearest.isNaN { return value.isNaN && nearest.isNaN ? 0 : .infinity }
    if value == nearest { return 0 }
    if !value.isFinite || !nearest.isFinite { return .infinity }
    return abs(Double(value) - exact) / Double(max(nearest.ulp, Float.leastNonzeroMagnitude))
}

func elements(_ shape: [Int]) -> Int { shape.reduce(1, *) }

/// The index of every element of a shape, in row-major order.
func indices(_ shape: [Int]) -> [[Int]] {
    var all: [[Int]] = [[]]
    for size in shape { all = all.flatMap { head in (0..<size).map { head + [$0] } } }
    return all
}

/// The position of an index, broadcast to a shape of that or a lower rank.
func position(_ index: [Int], in shape: [Int]) -> Int {
    var at = 0
    for (axis, size) in shape.enumerated() {
        at = at * size + (size == 1 ? 0 : index[index.count - shape.count + axis])
    }
    return at
}
