import CVectorKernels

/// Depthwise convolution: group c reads input channel c alone. Unfolding would multiply the memory traffic by the kernel
/// size for a product with one row, so these loops add whole output rows, tap by tap.

func depthwiseForward(
    _ shape: ConvolutionShape, x: UnsafePointer<Float>, w: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    out: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    let phases = PhasePlane(shape.window, positions: 0..<shape.positions)
    let kernel = shape.window.kernelCount
    pool.forEach(shape.batch * shape.groups) { index, worker in
        let plane = scratch + worker * phases.count
        phases.load(x + index * shape.inPlane, into: plane)
        for row in 0..<shape.outGroup {
            let channel = index % shape.groups * shape.outGroup + row
            let target = out + (index * shape.outGroup + row) * shape.positions
            target.update(repeating: bias?[channel] ?? 0, count: shape.positions)
            for (element, offset) in phases.elements.enumerated() {
                let weight = w[channel * kernel + element]
                var place = target
                for stretch in phases.rows {
                    addScaled(place, weight, plane + Int(offset + stretch.offset), Int(stretch.count))
                    place += Int(stretch.count)
                }
            }
        }
    }
}

func depthwiseInputGradient(
    _ shape: ConvolutionShape, g: UnsafePointer<Float>, w: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    let phases = PhasePlane(shape.window, positions: 0..<shape.positions)
    let kernel = shape.window.kernelCount
    pool.forEach(shape.batch * shape.groups) { index, worker in
        let plane = scratch + worker * phases.count
        plane.update(repeating: 0, count: phases.count)
        for row in 0..<shape.outGroup {
            let channel = index % shape.groups * shape.outGroup + row
            let source = g + (index * shape.outGroup + row) * shape.positions
            for (element, offset) in phases.elements.enumerated() {
                let weight = w[channel * kernel + element]
                var place = source
                for stretch in phases.rows {
                    addScaled(plane + Int(offset + stretch.offset), weight, place, Int(stretch.count))
                    place += Int(stretch.count)
                }
            }
        }
        let target = dx + index * shape.inPlane
        target.update(repeating: 0, count: shape.inPlane)
        phases.add(plane, to: target)
    }
}

/// dw += sum over the active samples; each channel's sum belongs to one worker, in the order of the samples.
func depthwiseWeightGradient(
    _ shape: ConvolutionShape, x: UnsafePointer<Float>, g: UnsafePointer<Float>, factors: UnsafePointer<Float>?,
    active: [Int], dw: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    let phases = PhasePlane(shape.window, positions: 0..<shape.positions)
    pool.forEach(shape.groups) { channel, worker in
        for sample in active {
            depthwiseChannelGradient(
                shape, x: x, g: g, sample: sample, channel: channel, factor: factors?[sample] ?? 1, dw: dw,
                phases: phases, plane: scratch + worker * phases.count, overwrite: false)
        }
    }
}

/// The rows of dw:[outChannels, kernel] that belong to one input channel, for one sample: overwritten, or added to.
func depthwiseChannelGradient(
    _ shape: ConvolutionShape, x: UnsafePointer<Float>, g: UnsafePointer<Float>, sample: Int, channel: Int,
    factor: Float, dw: UnsafeMutablePointer<Float>, phases: PhasePlane, plane: UnsafeMutablePointer<Float>,
    overwrite: Bool
) {
    let kernel = shape.window.kernelCount
    phases.load(x + (sample * shape.inChannels + channel) * shape.inPlane, into: plane)
    for row in channel * shape.outGroup..<(channel + 1) * shape.outGroup {
        let source = g + (sample * shape.outChannels + row) * shape.positions
        for (element, offset) in phases.elements.enumerated() {
            var sum: Float = 0
            var place = source
            for stretch in phases.rows {
                sum += shortDot(plane + Int(offset + stretch.offset), place, Int(stretch.count))
                place += Int(stretch.count)
            }
            let target = dw + row * kernel + element
            target.pointee = overwrite ? factor * sum : target.pointee + factor * sum
        }
    }
}
