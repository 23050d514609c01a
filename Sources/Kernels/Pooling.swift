/// out = the largest input of each window, indices = where it lies in its input plane (flattened, the first of equals).
///
/// Pads never win. As in PyTorch a NaN wins over every number, and the last NaN of a window gives the index. A window without any input (all padding) gives
/// -infinity and index -1.
public func maxPoolForward(
    _ shape: PoolingShape, x: UnsafePointer<Float>, out: UnsafeMutablePointer<Float>,
    indices: UnsafeMutablePointer<Int64>, pool: ThreadPool
) {
    let window = shape.window
    let step = window.x.stride
    pool.forRanges(shape.planes, grain: shape.grain) { planes, _ in
        for plane in planes {
            let input = x + plane * shape.inPlane
            let best = out + plane * shape.outPlane
            let places = indices + plane * shape.outPlane
            best.update(repeating: -.infinity, count: shape.outPlane)
            places.update(repeating: -1, count: shape.outPlane)
            window.eachStretch { output, columns, start in
                for column in columns {
                    let place = start + column * step
                    let value = input[place]
                    // A NaN wins, and nothing but another NaN wins against it; a window of -infinities gets an index.
                    let wins = value > best[output + column] || value.isNaN || places[output + column] < 0
                    best[output + column] = wins ? value : best[output + column]
                    places[output + column] = wins ? Int64(place) : places[output + column]
                }
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

/// out = the mean of each window: over the inputs in it, or, with `countIncludePad`, over the inputs and the pads in it (what
/// `ceil_mode` adds beyond the pads is never counted). A window that counts nothing gives 0.
public func averagePoolForward(
    _ shape: PoolingShape, countIncludePad: Bool, x: UnsafePointer<Float>, out: UnsafeMutablePointer<Float>,
    pool: ThreadPool
) {
    let window = shape.window
    let step = window.x.stride
    let shares = windowShares(window, countIncludePad: countIncludePad)
    pool.forRanges(shape.planes, grain: shape.grain) { planes, _ in
        for plane in planes {
            let input = x + plane * shape.inPlane
            let target = out + plane * shape.outPlane
            target.update(repeating: 0, count: shape.outPlane)
            window.eachStretch { output, columns, start in
                for column in columns { target[output + column] += input[start + column * step] }
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
    let window = shape.window
    let step = window.x.stride
    let shares = windowShares(window, countIncludePad: countIncludePad)
    pool.forRanges(shape.planes, grain: shape.grain) { planes, _ in
        for plane in planes {
            let source = g + plane * shape.outPlane
            let target = dx + plane * shape.inPlane
            target.update(repeating: 0, count: shape.inPlane)
            window.eachStretch { output, columns, start in
                for column in columns {
                    target[start + column * step] += source[output + column] * shares[output + column]
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
