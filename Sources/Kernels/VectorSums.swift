typealias Lanes = SIMD4<Float>

@inline(__always)
func lanes(_ pointer: UnsafePointer<Float>, _ index: Int) -> Lanes {
    UnsafeRawPointer(pointer + index).loadUnaligned(as: Lanes.self)
}

@inline(__always)
func lanes(_ pointer: UnsafeMutablePointer<Float>, _ index: Int) -> Lanes {
    UnsafeRawPointer(pointer + index).loadUnaligned(as: Lanes.self)
}

@inline(__always)
func store(_ value: Lanes, _ pointer: UnsafeMutablePointer<Float>, _ index: Int) {
    UnsafeMutableRawPointer(pointer + index).storeBytes(of: value, as: Lanes.self)
}

/// Sum of squares, accumulated in double precision.
func sumOfSquares(_ x: UnsafePointer<Float>, _ count: Int) -> Double {
    dot(x, x, count)
}

/// The length of gradients that are at hand as a whole.
public enum GradientNorm {
    /// Sum of squares, accumulated in double precision.
    public static func square(of values: UnsafeMutableBufferPointer<Float>) -> Double {
        values.baseAddress.map { sumOfSquares($0, values.count) } ?? 0
    }
}

/// Inner product, multiplied and accumulated in double precision.
func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int) -> Double {
    var first = SIMD2<Double>.zero
    var second = SIMD2<Double>.zero
    var third = SIMD2<Double>.zero
    var fourth = SIMD2<Double>.zero
    var index = 0
    while index + 8 <= count {
        first += pair(x, index) * pair(y, index)
        second += pair(x, index + 2) * pair(y, index + 2)
        third += pair(x, index + 4) * pair(y, index + 4)
        fourth += pair(x, index + 6) * pair(y, index + 6)
        index += 8
    }
    var sum = ((first + second) + (third + fourth)).sum()
    while index < count {
        sum += Double(x[index]) * Double(y[index])
        index += 1
    }
    return sum
}

@inline(__always)
private func pair(_ x: UnsafePointer<Float>, _ index: Int) -> SIMD2<Double> {
    SIMD2(Double(x[index]), Double(x[index + 1]))
}

/// Inner product in single precision with four partial sums; for short rows.
@inline(__always)
func shortDot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int) -> Float {
    var partial = Lanes.zero
    var index = 0
    while index + 4 <= count {
        partial += lanes(x, index) * lanes(y, index)
        index += 4
    }
    var sum = partial.sum()
    while index < count {
        sum += x[index] * y[index]
        index += 1
    }
    return sum
}

/// out += factor * x
@inline(__always)
func addScaled(_ out: UnsafeMutablePointer<Float>, _ factor: Float, _ x: UnsafePointer<Float>, _ count: Int) {
    let factors = Lanes(repeating: factor)
    var index = 0
    while index + 8 <= count {
        store(lanes(out, index) + factors * lanes(x, index), out, index)
        store(lanes(out, index + 4) + factors * lanes(x, index + 4), out, index + 4)
        index += 8
    }
    while index < count {
        out[index] += factor * x[index]
        index += 1
    }
}

/// out += x
@inline(__always)
func addRow(_ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ count: Int) {
    var index = 0
    while index + 4 <= count {
        store(lanes(out, index) + lanes(x, index), out, index)
        index += 4
    }
    while index < count {
        out[index] += x[index]
        index += 1
    }
}

/// out = factor * x
@inline(__always)
func copyScaled(_ out: UnsafeMutablePointer<Float>, _ factor: Float, _ x: UnsafePointer<Float>, _ count: Int) {
    let factors = Lanes(repeating: factor)
    var index = 0
    while index + 4 <= count {
        store(factors * lanes(x, index), out, index)
        index += 4
    }
    while index < count {
        out[index] = factor * x[index]
        index += 1
    }
}

/// out = x, without the call that a short row would not repay.
@inline(__always)
func copyRow(_ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ count: Int) {
    if count > 64 {
        out.update(from: x, count: count)
        return
    }
    if count < 4 {
        for index in 0..<count { out[index] = x[index] }
        return
    }
    var index = 0
    while index + 4 < count {
        store(lanes(x, index), out, index)
        index += 4
    }
    // The last four, some of them for the second time.
    store(lanes(x, count - 4), out, count - 4)
}

/// The samples that take part: all of them, or those whose factor is not zero. The rest must never be read, since they may
/// hold NaN, and 0 * NaN is NaN.
func activeSamples(_ factors: UnsafePointer<Float>?, _ count: Int) -> [Int] {
    guard let factors else { return Array(0..<count) }
    return (0..<count).filter { factors[$0] != 0 }
}

/// out = out + the `parts` arrays of `count` elements that lie one after another at `partial`, added in their order.
func addPartials(
    _ partial: UnsafePointer<Float>, parts: Int, count: Int, into out: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    pool.forRanges(count, grain: 16384) { range, _ in
        for part in 0..<parts {
            addRow(out + range.lowerBound, partial + part * count + range.lowerBound, range.count)
        }
    }
}
