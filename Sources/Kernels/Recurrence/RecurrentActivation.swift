import CVectorKernels

/// An activation function of a recurrent cell: x -> outputScale f(inputScale x), x clipped before.
public struct RecurrentActivation: Hashable, Sendable {
    public var function: UnaryFunction
    public var inputScale: Float
    public var outputScale: Float
    /// Bound of |x|, nil for none.
    public var clip: Float?

    public init(_ function: UnaryFunction, inputScale: Float = 1, outputScale: Float = 1, clip: Float? = nil) {
        self.function = function
        self.inputScale = inputScale
        self.outputScale = outputScale
        self.clip = clip
    }

    func apply(_ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>, count: Int) {
        prepare(x, into: out, count: count)
        let code = function.code
        vector.pointee.unary(code.operation, out, out, Int64(count), code.a, code.b)
        if outputScale != 1 { scale(out, outputScale, count) }
    }

    /// out = g f'(x); `out` may be x or g. `scratch` holds `count` floats.
    func gradient(
        _ x: UnsafePointer<Float>, _ g: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>, count: Int,
        scratch: UnsafeMutablePointer<Float>
    ) {
        prepare(x, into: scratch, count: count)
        let code = function.code
        vector.pointee.derivative(code.operation, scratch, g, scratch, Int64(count), code.a, code.b)
        if inputScale * outputScale != 1 { scale(scratch, inputScale * outputScale, count) }
        if let clip {
            vector.pointee.derivative(Int32(VK_CLIP), x, scratch, scratch, Int64(count), -clip, clip)
        }
        out.update(from: scratch, count: count)
    }

    private func prepare(_ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>, count: Int) {
        if let clip {
            vector.pointee.unary(Int32(VK_CLIP), x, out, Int64(count), -clip, clip)
        } else {
            out.update(from: x, count: count)
        }
        if inputScale != 1 { scale(out, inputScale, count) }
    }

    private func scale(_ x: UnsafeMutablePointer<Float>, _ factor: Float, _ count: Int) {
        vector.pointee.unary(Int32(VK_AFFINE), x, x, Int64(count), factor, 0)
    }
}
