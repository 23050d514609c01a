/// out = the mean of each window: over the inputs in it, or, with `countIncludePad`, over the inputs and the pads in it (what
/// `ceil_mode` adds beyond the pads is never counted). A window that counts nothing gives 0.
public func averagePoolForward(
    _ shape: PoolingShape, countIncludePad: Bool, x: UnsafePointer<Float>, out: UnsafeMutablePointer<Float>,
    pool: ThreadPool
) {
    let step = shape.window.x.stride
    let stretches = shape.window.stretches
    let shares = windowShares(shape.window, countIncludePad: countIncludePad)
    pool.forRanges(shape.planes, grain: shape.grain) { planes, _ in
        for plane in planes {
            let input = x + plane * shape.inPlane
            let target = out + plane * shape.outPlane
            target.update(repeating: 0, count: shape.outPlane)
            for stretch in stretches {
                for index in 0..<stretch.count {
                    target[stretch.output + index] += input[stretch.input + index * step]
                }
            }
            for output in 0..<shape.outPlane { target[output] *= shares[output] }
        }
    }
}

/// dx = the gradient of the input from g, the gradient of the output.
public func averagePoolBackward(
    _ shape: PoolingShape, countIncludePad: Bool, g: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>,
    pool: ThreadPool
) {
    let step = shape.window.x.stride
    let stretches = shape.window.stretches
    let shares = windowShares(shape.window, countIncludePad: countIncludePad)
    pool.forRanges(shape.planes, grain: shape.grain) { planes, _ in
        for plane in planes {
            let source = g + plane * shape.outPlane
            let target = dx + plane * shape.inPlane
            target.update(repeating: 0, count: shape.inPlane)
            for stretch in stretches {
                for index in 0..<stretch.count {
                    let output = stretch.output + index
                    target[stretch.input + index * step] += source[output] * shares[output]
                }
            }
        }
    }
}

/// One over the number of elements that each output averages.
private func windowShares(_ window: SpatialWindow, countIncludePad: Bool) -> [Float] {
    let depths = (0..<window.z.output).map { window.z.taps(at: $0, countPads: countIncludePad) }
    let heights = (0..<window.y.output).map { window.y.taps(at: $0, countPads: countIncludePad) }
    let widths = (0..<window.x.output).map { window.x.taps(at: $0, countPads: countIncludePad) }
    return depths.flatMap { depth in
        heights.flatMap { height in
            widths.map { width in
                let count = depth * height * width
                return count == 0 ? 0 : 1 / Float(count)
            }
        }
    }
}
