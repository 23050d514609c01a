import CVectorKernels

/// The part of one padded input plane that a range of output positions sees, laid out so that the inputs of consecutive
/// outputs are consecutive whatever the stride: each row is split into `stride` phases.
///
/// Row (z, y) holds its phases one after another, `phaseWidth` elements each; element q of phase f is padded column
/// q * stride + f. So unfolding, and the depthwise loops, copy and add contiguous rows without bounds checks.
struct PhasePlane {
    let window: SpatialWindow
    let phaseWidth: Int
    private let z0: Int
    private let zCount: Int
    private let y0: Int
    private let yCount: Int
    /// Where the input of the first position under each kernel element starts.
    let elements: [Int64]
    /// The stretches of outputs, row by row: where each one's input lies from that of the first position, and its length.
    let rows: [vk_stretch]
    private let positionCount: Int

    /// The plane for the output positions `positions` (flattened; not empty).
    init(_ window: SpatialWindow, positions: Range<Int>) {
        self.window = window
        let plane = window.y.output * window.x.output
        let firstZ = positions.lowerBound / plane
        let lastZ = (positions.upperBound - 1) / plane
        var firstY = 0
        var lastY = window.y.output - 1
        if firstZ == lastZ {
            firstY = (positions.lowerBound % plane) / window.x.output
            lastY = ((positions.upperBound - 1) % plane) / window.x.output
        }
        z0 = firstZ * window.z.stride - window.z.padBegin
        y0 = firstY * window.y.stride - window.y.padBegin
        zCount = (lastZ - firstZ) * window.z.stride + (window.z.kernel - 1) * window.z.dilation + 1
        yCount = (lastY - firstY) * window.y.stride + (window.y.kernel - 1) * window.y.dilation + 1
        let padded = (window.x.output - 1) * window.x.stride + (window.x.kernel - 1) * window.x.dilation + 1
        let width = (padded + window.x.stride - 1) / window.x.stride
        phaseWidth = width
        let row = window.x.stride * width
        let slice = yCount * row
        elements = (0..<window.kernelCount).map { element in
            let x = element % window.x.kernel * window.x.dilation
            let y = element / window.x.kernel % window.y.kernel * window.y.dilation
            let z = element / (window.x.kernel * window.y.kernel) * window.z.dilation
            return Int64(z * slice + y * row + x % window.x.stride * width + x / window.x.stride)
        }
        let outputWidth = window.x.output
        rows = (positions.lowerBound / outputWidth...(positions.upperBound - 1) / outputWidth).map { index in
            let first = max(0, positions.lowerBound - index * outputWidth)
            let end = min(outputWidth, positions.upperBound - index * outputWidth)
            let z = (index / window.y.output - firstZ) * window.z.stride
            let y = (index % window.y.output - firstY) * window.y.stride
            return vk_stretch(offset: Int64(z * slice + y * row + first), count: Int64(end - first))
        }
        positionCount = positions.count
    }

    /// Elements that any plane of this window needs.
    static func capacity(_ window: SpatialWindow) -> Int {
        if window.outputCount == 0 { return 0 }
        return PhasePlane(window, positions: 0..<window.outputCount).count
    }

    var count: Int { zCount * yCount * window.x.stride * phaseWidth }

    /// plane = the padded input
    func load(_ input: UnsafePointer<Float>, into plane: UnsafeMutablePointer<Float>) {
        eachPhase { row, inside, place in
            let target = plane + place
            guard let row else {
                target.update(repeating: 0, count: phaseWidth)
                return
            }
            let stride = window.x.stride
            for q in 0..<inside.lowerBound { target[q] = 0 }
            let source = input + row
            if stride == 1 {
                copyRow(target + inside.lowerBound, source + inside.lowerBound, inside.count)
            } else {
                for q in inside { target[q] = source[q * stride] }
            }
            for q in inside.upperBound..<phaseWidth { target[q] = 0 }
        }
    }

    /// output += the part of the plane that is not padding
    func add(_ plane: UnsafePointer<Float>, to output: UnsafeMutablePointer<Float>) {
        eachPhase { row, inside, place in
            guard let row else { return }
            let stride = window.x.stride
            let source = plane + place
            let target = output + row
            for q in inside { target[q * stride] += source[q] }
        }
    }

    /// One row of `columns`, `stride` apart, for each element of the kernel. Reads a little beyond the plane.
    fileprivate func unfold(
        _ plane: UnsafePointer<Float>, into columns: UnsafeMutablePointer<Float>, stride: Int
    ) {
        vector.pointee.unfold(
            plane, elements, Int64(elements.count), rows, Int64(rows.count), Int64(positionCount), columns,
            Int64(stride))
    }

    /// plane += the rows of `columns`.
    fileprivate func fold(
        _ columns: UnsafePointer<Float>, stride: Int, addingTo plane: UnsafeMutablePointer<Float>
    ) {
        vector.pointee.fold_add(
            columns, Int64(stride), elements, Int64(elements.count), rows, Int64(rows.count), plane)
    }

    /// Calls `body` for each phase of each row with the input offset of its element 0 (nil for a row of padding; the
    /// offset itself may lie outside the row), its elements inside the input, and its place in the plane.
    @inline(__always)
    private func eachPhase(_ body: (_ row: Int?, _ inside: Range<Int>, _ place: Int) -> Void) {
        let stride = window.x.stride
        let pad = window.x.padBegin
        let width = window.x.input
        for z in 0..<zCount {
            for y in 0..<yCount {
                let iz = z0 + z
                let iy = y0 + y
                let isPadding = iz < 0 || iz >= window.z.input || iy < 0 || iy >= window.y.input
                for phase in 0..<stride {
                    let place = ((z * yCount + y) * stride + phase) * phaseWidth
                    if isPadding {
                        body(nil, 0..<0, place)
                        continue
                    }
                    let shift = phase - pad
                    let low = min(phaseWidth, shift >= 0 ? 0 : (-shift + stride - 1) / stride)
                    let high = width - shift <= 0 ? 0 : min(phaseWidth, (width - shift + stride - 1) / stride)
                    body((iz * window.y.input + iy) * width + shift, low..<max(low, high), place)
                }
            }
        }
    }
}

/// columns[channel * kernel + element][position] = the input that the element sees at the position, for `channels` planes
/// of `input` and the output positions of `phases` (im2col). `plane` holds `PhasePlane.capacity` elements
/// and is followed by the memory of `columns`: what is read behind its end is overwritten.
func unfold(
    _ phases: PhasePlane, channels: Int, input: UnsafePointer<Float>, plane: UnsafeMutablePointer<Float>,
    columns: UnsafeMutablePointer<Float>, stride: Int
) {
    for channel in 0..<channels {
        phases.load(input + channel * phases.window.inputCount, into: plane)
        phases.unfold(plane, into: columns + channel * phases.elements.count * stride, stride: stride)
    }
}

/// output += the transpose of `unfold` applied to `columns` (col2im).
func foldAdd(
    _ phases: PhasePlane, channels: Int, columns: UnsafePointer<Float>, stride: Int,
    plane: UnsafeMutablePointer<Float>, output: UnsafeMutablePointer<Float>
) {
    for channel in 0..<channels {
        plane.update(repeating: 0, count: phases.count)
        phases.fold(columns + channel * phases.elements.count * stride, stride: stride, addingTo: plane)
        phases.add(plane, to: output + channel * phases.window.inputCount)
    }
}
