/// A number made of elements in any order, so that tensors with equal fingerprints hold, but for accidents of 64 bits,
/// the same elements. Fingerprints of parts add up to that of the whole.
struct Fingerprint: Hashable, Sendable {
    var count: Int
    var sum: UInt64

    init() {
        count = 0
        sum = 0
    }

    init(_ values: [Float]) {
        count = values.count
        sum = values.reduce(into: 0) { $0 &+= Self.mixed($1) }
    }

    static func - (left: Fingerprint, right: Fingerprint) -> Fingerprint {
        var result = left
        result.count -= right.count
        result.sum &-= right.sum
        return result
    }

    mutating func add(_ value: Float) {
        count += 1
        sum &+= Self.mixed(value)
    }

    /// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
    @inline(__always)
    private static func mixed(_ value: Float) -> UInt64 {
        var bits = UInt64(value.bitPattern) &+ 0x9E37_79B9_7F4A_7C15
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return bits ^ bits >> 31
    }
}
