import Kernels

/// Reproducible test data (SplitMix64).
struct SeededValues: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in Float.random(in: -1...1, using: &self) } }
    mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
}

let pools = [ThreadPool(threads: 1), ThreadPool(threads: 2), ThreadPool(threads: 3)]

/// Scratch filled with NaN, so that reading what was never written shows, and with a guard behind its end.
func withScratch(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> Void) -> Bool {
    let marker: Float = 12345.678
    var buffer = [Float](repeating: .nan, count: count + 64)
    for index in count..<count + 64 { buffer[index] = marker }
    buffer.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
    return buffer[count...].allSatisfy { $0 == marker }
}

/// The largest difference, relative to the largest expected magnitude; infinite if a value is not finite or counts differ.
func error(_ actual: [Float], _ expected: [Double]) -> Double {
    error(actual.map(Double.init), expected)
}

func error(_ actual: [Double], _ expected: [Double]) -> Double {
    guard actual.count == expected.count else { return .infinity }
    let scale = expected.reduce(1e-30) { max($0, $1.magnitude) }
    return zip(actual, expected).reduce(0) { worst, pair in
        let difference = (pair.0 - pair.1).magnitude / scale
        return difference.isFinite ? max(worst, difference) : .infinity
    }
}
