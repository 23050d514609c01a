/// out = the largest input of each window, indices = where it lies in its input plane (flattened, the first of equals).
///
/// Pads never win. As in PyTorch a NaN wins over every number, and the last NaN of a window gives the index. A window
/// without any input (all padding) gives -infinity and index -1.
public func maxPoolForward(
    _ shape: PoolingShape, x: UnsafePointer<Float>, out: UnsafeMutablePointer<Float>,
    indices: UnsafeMutablePointer<Int64>, pool: ThreadPool
) {
    precondition(shape.inPlane <= Int(Int32.max), "a pooled plane of \(shape.inPlane) elements is too large")
    if shape.outPlane == 0 { return }
    let windows = MaxWindows(shape.window)
    pool.forRanges(shape.planes, grain: shape.grain) { planes, _ in
        windows.withBuffers { buffers in
            for plane in planes {
                windows.pool(
                    x + plane * shape.inPlane, into: out + plane * shape.outPlane,
                    indices: indices + plane * shape.outPlane, buffers)
            }
        }
    }
}

/// dx = the gradient of the input from g, the gradient of the output, and the indices of the forward pass.
public func maxPoolBackward(
    _ shape: PoolingShape, g: UnsafePointer<Float>, indices: UnsafePointer<Int64>, dx: UnsafeMutablePointer<Float>,
    pool: ThreadPool
) {
    pool.forRanges(shape.planes, grain: shape.grain) { planes, _ in
        for plane in planes {
            let target = dx + plane * shape.inPlane
            target.update(repeating: 0, count: shape.inPlane)
            for output in plane * shape.outPlane..<(plane + 1) * shape.outPlane where indices[output] >= 0 {
                target[Int(indices[output])] += g[output]
            }
        }
    }
}
