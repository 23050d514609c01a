import CVectorKernels

/// Functions that move elements of 1, 4 or 8 bytes (UInt8, Float, Int64, Double) between contiguous row-major tensors.
/// Outputs never overlap inputs, unless said otherwise.
public enum Layout {}

extension Layout {
    /// out = x with its axes permuted: out's axis i is x's axis permutation[i] (numpy's and ONNX's transpose).
    public static func transpose<Element: BitwiseCopyable>(
        _ x: UnsafePointer<Element>, shape: [Int], permutation: [Int], into out: UnsafeMutablePointer<Element>,
        pool: ThreadPool
    ) {
        precondition(permutation.sorted() == Array(shape.indices), "\(permutation) does not permute \(shape)")
        let strides = contiguousStrides(shape)
        let outShape = permutation.map { shape[$0] }
        StridedCopy(shape: outShape, from: permutation.map { strides[$0] }, to: contiguousStrides(outShape))
            .run(size: elementSize(Element.self), x, out, pool: pool)
    }

    /// out[i] = x[starts + i * steps], axis by axis; steps may be negative.
    public static func slice<Element: BitwiseCopyable>(
        _ x: UnsafePointer<Element>, shape: [Int], starts: [Int], steps: [Int],
        into out: UnsafeMutablePointer<Element>, outShape: [Int], pool: ThreadPool
    ) {
        let view = sliceView(shape, starts, steps, outShape)
        guard !outShape.contains(0) else { return }
        StridedCopy(shape: outShape, from: view.strides, to: contiguousStrides(outShape))
            .run(size: elementSize(Element.self), x + view.offset, out, pool: pool)
    }

    /// out[starts + i * steps] = x[i], the rest of `out`, of shape `shape`, left as it is: on zeros the adjoint of
    /// `slice`.
    public static func assignSlice<Element: BitwiseCopyable>(
        _ x: UnsafePointer<Element>, shape xShape: [Int], into out: UnsafeMutablePointer<Element>, shape: [Int],
        starts: [Int], steps: [Int], pool: ThreadPool
    ) {
        let view = sliceView(shape, starts, steps, xShape)
        guard !xShape.contains(0) else { return }
        StridedCopy(shape: xShape, from: contiguousStrides(xShape), to: view.strides)
            .run(size: elementSize(Element.self), x, out + view.offset, pool: pool)
    }

    /// dx, of shape `shape`, = the adjoint of `slice` applied to g, of shape `outShape`.
    public static func sliceAdjoint(
        _ g: UnsafePointer<Float>, outShape: [Int], into dx: UnsafeMutablePointer<Float>, shape: [Int],
        starts: [Int], steps: [Int], pool: ThreadPool
    ) {
        fill(dx, with: 0, count: shape.reduce(1, *), pool: pool)
        assignSlice(g, shape: outShape, into: dx, shape: shape, starts: starts, steps: steps, pool: pool)
    }

    private static func sliceView(
        _ shape: [Int], _ starts: [Int], _ steps: [Int], _ outShape: [Int]
    ) -> (offset: Int, strides: [Int]) {
        precondition(
            starts.count == shape.count && steps.count == shape.count && outShape.count == shape.count,
            "a slice of another rank than \(shape)")
        let strides = contiguousStrides(shape)
        var offset = 0
        for axis in shape.indices where outShape[axis] > 0 {
            let last = starts[axis] + (outShape[axis] - 1) * steps[axis]
            precondition(
                (0..<shape[axis]).contains(starts[axis]) && (0..<shape[axis]).contains(last),
                "slice past axis \(axis) of \(shape)")
            offset += starts[axis] * strides[axis]
        }
        return (offset, shape.indices.map { strides[$0] * steps[$0] })
    }

    /// out = x broadcast to `outShape`. Its adjoint is `Rows.reduce(.sum)` over the axes that grew.
    public static func expand<Element: BitwiseCopyable>(
        _ x: UnsafePointer<Element>, shape: [Int], into out: UnsafeMutablePointer<Element>, outShape: [Int],
        pool: ThreadPool
    ) {
        StridedCopy(
            shape: outShape, from: BroadcastPlan.strides(of: shape, broadcastTo: outShape),
            to: contiguousStrides(outShape)
        ).run(size: elementSize(Element.self), x, out, pool: pool)
    }

    /// out = x repeated `repeats[i]` times along axis i. Its adjoint is `Rows.reduce(.sum)` of the gradient seen as
    /// [r0, d0, r1, d1, ...] over the even axes.
    public static func tile<Element: BitwiseCopyable>(
        _ x: UnsafePointer<Element>, shape: [Int], repeats: [Int], into out: UnsafeMutablePointer<Element>,
        pool: ThreadPool
    ) {
        precondition(repeats.count == shape.count, "repeats of another rank than \(shape)")
        let strides = contiguousStrides(shape)
        let split = shape.indices.flatMap { [repeats[$0], shape[$0]] }
        StridedCopy(shape: split, from: shape.indices.flatMap { [0, strides[$0]] }, to: contiguousStrides(split))
            .run(size: elementSize(Element.self), x, out, pool: pool)
    }

    /// out[outer, sum of sizes, inner] = the parts [outer, sizes[i], inner] one after the other.
    public static func concatenate<Element: BitwiseCopyable>(
        _ parts: [UnsafePointer<Element>], sizes: [Int], outer: Int, inner: Int,
        into out: UnsafeMutablePointer<Element>, pool: ThreadPool
    ) {
        precondition(parts.count == sizes.count, "one size for each part")
        let row = sizes.reduce(0, +) * inner
        var start = 0
        for (part, size) in zip(parts, sizes) {
            StridedCopy(shape: [outer, size * inner], from: [size * inner, 1], to: [row, 1])
                .run(size: elementSize(Element.self), part, out + start, pool: pool)
            start += size * inner
        }
    }

    /// The adjoint and inverse of `concatenate`: parts of x [outer, sum of sizes, inner]; a nil part is skipped.
    public static func split<Element: BitwiseCopyable>(
        _ x: UnsafePointer<Element>, sizes: [Int], outer: Int, inner: Int,
        into parts: [UnsafeMutablePointer<Element>?], pool: ThreadPool
    ) {
        precondition(parts.count == sizes.count, "one size for each part")
        let row = sizes.reduce(0, +) * inner
        var start = 0
        for (part, size) in zip(parts, sizes) {
            if let part {
                StridedCopy(shape: [outer, size * inner], from: [row, 1], to: [size * inner, 1])
                    .run(size: elementSize(Element.self), x + start, part, pool: pool)
            }
            start += size * inner
        }
    }

    /// out = value, everywhere.
    public static func fill<Element: BitwiseCopyable>(
        _ out: UnsafeMutablePointer<Element>, with value: Element, count: Int, pool: ThreadPool
    ) {
        withUnsafePointer(to: value) {
            StridedCopy(shape: [count], from: [0], to: [1])
                .run(size: elementSize(Element.self), $0, out, pool: pool)
        }
    }

    /// out = x. They may be the same memory.
    public static func copy<Element: BitwiseCopyable>(
        _ x: UnsafePointer<Element>, into out: UnsafeMutablePointer<Element>, count: Int, pool: ThreadPool
    ) {
        if UnsafePointer(out) == x { return }
        StridedCopy(shape: [count], from: [1], to: [1]).run(size: elementSize(Element.self), x, out, pool: pool)
    }
}
