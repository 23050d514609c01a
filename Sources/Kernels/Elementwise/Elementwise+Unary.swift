import CVectorKernels

/// Functions that work element by element, with broadcasting where there are several operands. Outputs may be the
/// memory of an operand of the same shape.
public enum Elementwise {}

extension Elementwise {
    /// out = f(x). exp, log, tanh, sigmoid and erf are within 4 ulp; NaN gives NaN.
    public static func apply(
        _ function: UnaryFunction, _ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>, count: Int,
        pool: ThreadPool
    ) {
        let code = function.code
        pool.forRanges(count, grain: elementGrain) { range, _ in
            vector.pointee.unary(
                code.operation, x + range.lowerBound, out + range.lowerBound, Int64(range.count), code.a, code.b)
        }
    }

    /// out = g * f'(x). Where f has a kink the derivative is PyTorch's choice: relu'(0) = 0, abs'(0) = 0. The rounding
    /// functions and sign have derivative 0.
    public static func derivative(
        _ function: UnaryFunction, _ x: UnsafePointer<Float>, gradient g: UnsafePointer<Float>,
        into out: UnsafeMutablePointer<Float>, count: Int, pool: ThreadPool
    ) {
        let code = function.code
        pool.forRanges(count, grain: elementGrain) { range, _ in
            vector.pointee.derivative(
                code.operation, x + range.lowerBound, g + range.lowerBound, out + range.lowerBound,
                Int64(range.count), code.a, code.b)
        }
    }

    /// out = g * f'(x) from y = f(x), for functions with `hasDerivativeFromOutput`.
    public static func derivativeFromOutput(
        _ function: UnaryFunction, _ y: UnsafePointer<Float>, gradient g: UnsafePointer<Float>,
        into out: UnsafeMutablePointer<Float>, count: Int, pool: ThreadPool
    ) {
        precondition(function.hasDerivativeFromOutput, "the derivative of \(function) needs its input")
        let code = function.code
        pool.forRanges(count, grain: elementGrain) { range, _ in
            vector.pointee.derivative_from_output(
                code.operation, y + range.lowerBound, g + range.lowerBound, out + range.lowerBound,
                Int64(range.count))
        }
    }

    /// out = x == 0, for truth values.
    public static func not(
        _ x: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<UInt8>, count: Int, pool: ThreadPool
    ) {
        pool.forRanges(count, grain: elementGrain) { range, _ in
            vector.pointee.logical_not(x + range.lowerBound, out + range.lowerBound, Int64(range.count))
        }
    }

    /// y += scale * x
    public static func addScaled(
        _ x: UnsafePointer<Float>, scale: Float = 1, to y: UnsafeMutablePointer<Float>, count: Int, pool: ThreadPool
    ) {
        pool.forRanges(count, grain: elementGrain) { range, _ in
            vector.pointee.add_scaled(x + range.lowerBound, y + range.lowerBound, scale, Int64(range.count))
        }
    }
}
