/// out = the largest input of each window, indices = where it lies in its input plane (flattened, the first of equals).
///
/// Pads never win. As in PyTorch a NaN wins over every number, and the last NaN of a window gives the index. A window without any input (all padding) gives
/// -infinity and index -1.
public func maxPoolForward(
    _ shape: PoolingShape, x: UnsafePointer<Float>, out: UnsafeMutablePointer<Float>,
    indices: UnsafeMutablePointer<Int64>, pool: ThreadPool
) {
    precondition(shape.inPlane <= Int(Int32.max), "a pooled plane of \(shape.inPlane) elements is too large")
    let step = shape.window.x.stride
    let stretches = shape.window.stretches
    pool.forRanges(shape.planes, grain: shape.grain) { planes, _ in
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: shape.outPlane) { buffer in
            guard let places = buffer.baseAddress else { return }
            for plane in planes {
                let best = out + plane * shape.outPlane
                best.update(repeating: -.infinity, count: shape.outPlane)
                buffer.initialize(repeating: -1)
                for stretch in stretches {
                    keepLarger(x + plane * shape.inPlane, stretch, step: step, best: best, places: places)
                }
                for output in 0..<shape.outPlane {
                    indices[plane * shape.outPlane + output] = Int64(places[output])
                }
            }
        }
    }
}

/// Lets the inputs of one stretch win against the best so far: larger ones, NaNs, and the first of each window, so that a
/// window of -infinities has an index too.
private func keepLarger(
    _ input: UnsafePointer<Float>, _ stretch: WindowStretch, step: Int, best: UnsafeMutablePointer<Float>,
    places: UnsafeMutablePointer<Int32>
) {
    let source = input + stretch.input
    let best = best + stretch.output
    let places = places + stretch.output
    let steps = SIMD4<Int32>(0, 1, 2, 3) &* Int32(step)
    var index = 0
    while index + 4 <= stretch.count {
        let start = index * step
        let value =
            step == 1
            ? lanes(source, start)
            : Lanes(source[start], source[start + step], source[start + 2 * step], source[start + 3 * step])
        let held = lanes(best, index)
        let heldPlaces = UnsafeRawPointer(places + index).loadUnaligned(as: SIMD4<Int32>.self)
        let wins = (value .> held) .| (value .!= value) .| (heldPlaces .< 0)
        let place = steps &+ Int32(stretch.input + start)
        store(held.replacing(with: value, where: wins), best, index)
        UnsafeMutableRawPointer(places + index).storeBytes(
            of: heldPlaces.replacing(with: place, where: wins), as: SIMD4<Int32>.self)
        index += 4
    }
    while index < stretch.count {
        let value = source[index * step]
        if value > best[index] || value.isNaN || places[index] < 0 {
            best[index] = value
            places[index] = Int32(stretch.input + index * step)
        }
        index += 1
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
