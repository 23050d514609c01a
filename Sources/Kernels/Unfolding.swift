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
    private let firstOutputZ: Int
    private let firstOutputY: Int

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
        firstOutputZ = firstZ
        firstOutputY = firstY
        z0 = firstZ * window.z.stride - window.z.padBegin
        y0 = firstY * window.y.stride - window.y.padBegin
        zCount = (lastZ - firstZ) * window.z.stride + (window.z.kernel - 1) * window.z.dilation + 1
        yCount = (lastY - firstY) * window.y.stride + (window.y.kernel - 1) * window.y.dilation + 1
        phaseWidth = Self.phaseWidth(window)
    }

    private static func phaseWidth(_ window: SpatialWindow) -> Int {
        let width = (window.x.output - 1) * window.x.stride + (window.x.kernel - 1) * window.x.dilation + 1
        return (width + window.x.stride - 1) / window.x.stride
    }

    /// Elements that any plane of this window needs.
    static func capacity(_ window: SpatialWindow) -> Int {
        if window.outputCount == 0 { return 0 }
        return PhasePlane(window, positions: 0..<window.outputCount).count
    }

    var count: Int { zCount * yCount * window.x.stride * phaseWidth }

    /// Where the input of output (oz, oy, 0) under kernel element (kz, ky, kx) starts.
    @inline(__always)
    func offset(_ oz: Int, _ oy: Int, _ kz: Int, _ ky: Int, _ kx: Int) -> Int {
        let z = (oz - firstOutputZ) * window.z.stride + kz * window.z.dilation
        let y = (oy - firstOutputY) * window.y.stride + ky * window.y.dilation
        let column = kx * window.x.dilation
        let phase = column % window.x.stride
        return ((z * yCount + y) * window.x.stride + phase) * phaseWidth + column / window.x.stride
    }

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

    /// Calls `body` for each stretch of outputs of one row within `positions`, with its output coordinates.
    @inline(__always)
    func eachRow(_ positions: Range<Int>, _ body: (_ oz: Int, _ oy: Int, _ columns: Range<Int>) -> Void) {
        let width = window.x.output
        for row in positions.lowerBound / width...(positions.upperBound - 1) / width {
            let first = max(0, positions.lowerBound - row * width)
            let end = min(width, positions.upperBound - row * width)
            body(row / window.y.output, row % window.y.output, first..<end)
        }
    }

    @inline(__always)
    func eachKernelElement(_ body: (_ element: Int, _ kz: Int, _ ky: Int, _ kx: Int) -> Void) {
        var element = 0
        for kz in 0..<window.z.kernel {
            for ky in 0..<window.y.kernel {
                for kx in 0..<window.x.kernel {
                    body(element, kz, ky, kx)
                    element += 1
                }
            }
        }
    }
}

/// columns[channel * kernel + element][position] = the input that the element sees at the position, for `channels` planes
/// of `input` and the output positions `positions` (im2col). `plane` holds `PhasePlane.capacity` elements.
func unfold(
    _ window: SpatialWindow, channels: Int, positions: Range<Int>, input: UnsafePointer<Float>,
    plane: UnsafeMutablePointer<Float>, columns: UnsafeMutablePointer<Float>, stride: Int
) {
    if positions.isEmpty { return }
    let phases = PhasePlane(window, positions: positions)
    for channel in 0..<channels {
        phases.load(input + channel * window.inputCount, into: plane)
        let rows = columns + channel * window.kernelCount * stride
        phases.eachKernelElement { element, kz, ky, kx in
            var target = rows + element * stride
            phases.eachRow(positions) { oz, oy, stretch in
                copyRow(target, plane + phases.offset(oz, oy, kz, ky, kx) + stretch.lowerBound, stretch.count)
                target += stretch.count
            }
        }
    }
}

/// output += the transpose of `unfold` applied to `columns` (col2im).
func foldAdd(
    _ window: SpatialWindow, channels: Int, positions: Range<Int>, columns: UnsafePointer<Float>, stride: Int,
    plane: UnsafeMutablePointer<Float>, output: UnsafeMutablePointer<Float>
) {
    if positions.isEmpty { return }
    let phases = PhasePlane(window, positions: positions)
    for channel in 0..<channels {
        plane.update(repeating: 0, count: phases.count)
        let rows = columns + channel * window.kernelCount * stride
        phases.eachKernelElement { element, kz, ky, kx in
            var source = rows + element * stride
            phases.eachRow(positions) { oz, oy, stretch in
                addRow(plane + phases.offset(oz, oy, kz, ky, kx) + stretch.lowerBound, source, stretch.count)
                source += stretch.count
            }
        }
        phases.add(plane, to: output + channel * window.inputCount)
    }
}
