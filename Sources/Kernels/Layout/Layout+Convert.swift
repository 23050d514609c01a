import CVectorKernels

/// A float format shorter than float32.
public enum ShortFloat: Hashable, Sendable {
    case float16, bfloat16
}

extension Layout {
    /// Truncates toward zero (ONNX Cast); beyond Int64 the nearest end of it, NaN gives 0.
    public static func convert(
        _ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<Int64>, count: Int, pool: ThreadPool
    ) {
        map(x, out, count, pool) { truncated(Double($0)) }
    }

    /// Truncates toward zero (ONNX Cast); beyond Int64 the nearest end of it, NaN gives 0.
    public static func convert(
        _ x: UnsafePointer<Double>, into out: UnsafeMutablePointer<Int64>, count: Int, pool: ThreadPool
    ) {
        map(x, out, count, pool) { truncated($0) }
    }

    /// 1 where x is not 0 (NaN is not).
    public static func convert(
        _ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<UInt8>, count: Int, pool: ThreadPool
    ) {
        map(x, out, count, pool) { $0 != 0 ? 1 : 0 }
    }

    /// 1 where x is not 0 (NaN is not).
    public static func convert(
        _ x: UnsafePointer<Double>, into out: UnsafeMutablePointer<UInt8>, count: Int, pool: ThreadPool
    ) {
        map(x, out, count, pool) { $0 != 0 ? 1 : 0 }
    }

    /// 1 where x is not 0.
    public static func convert(
        _ x: UnsafePointer<Int64>, into out: UnsafeMutablePointer<UInt8>, count: Int, pool: ThreadPool
    ) {
        map(x, out, count, pool) { $0 != 0 ? 1 : 0 }
    }

    public static func convert(
        _ x: UnsafePointer<Int64>, into out: UnsafeMutablePointer<Float>, count: Int, pool: ThreadPool
    ) {
        map(x, out, count, pool) { Float($0) }
    }

    public static func convert(
        _ x: UnsafePointer<Int64>, into out: UnsafeMutablePointer<Double>, count: Int, pool: ThreadPool
    ) {
        map(x, out, count, pool) { Double($0) }
    }

    public static func convert(
        _ x: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Float>, count: Int, pool: ThreadPool
    ) {
        map(x, out, count, pool) { Float($0) }
    }

    public static func convert(
        _ x: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Double>, count: Int, pool: ThreadPool
    ) {
        map(x, out, count, pool) { Double($0) }
    }

    public static func convert(
        _ x: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Int64>, count: Int, pool: ThreadPool
    ) {
        map(x, out, count, pool) { Int64($0) }
    }

    public static func convert(
        _ x: UnsafePointer<Double>, into out: UnsafeMutablePointer<Float>, count: Int, pool: ThreadPool
    ) {
        map(x, out, count, pool) { Float($0) }
    }

    public static func convert(
        _ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<Double>, count: Int, pool: ThreadPool
    ) {
        map(x, out, count, pool) { Double($0) }
    }

    /// out = x rounded to the nearest value of a shorter format, ties to even; beyond it, infinity. `out` may be x.
    public static func round(
        _ x: UnsafePointer<Float>, to format: ShortFloat, into out: UnsafeMutablePointer<Float>, count: Int,
        pool: ThreadPool
    ) {
        pool.forRanges(count, grain: elementGrain) { range, _ in
            let at = range.lowerBound
            switch format {
            case .float16: vector.pointee.round_float16(x + at, out + at, Int64(range.count))
            case .bfloat16: vector.pointee.round_bfloat16(x + at, out + at, Int64(range.count))
            }
        }
    }

    private static func truncated(_ x: Double) -> Int64 {
        if x.isNaN { return 0 }
        if x >= 0x1p63 { return .max }
        return x < -0x1p63 ? .min : Int64(x)
    }

    @inline(__always)
    private static func map<From: BitwiseCopyable, To: BitwiseCopyable>(
        _ x: UnsafePointer<From>, _ out: UnsafeMutablePointer<To>, _ count: Int, _ pool: ThreadPool,
        _ body: (From) -> To
    ) {
        pool.forRanges(count, grain: elementGrain) { range, _ in
            for i in range { out[i] = body(x[i]) }
        }
    }
}
