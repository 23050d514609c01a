import CVectorKernels

/// The windows of max pooling over one plane, as stretches that the vector kernels go through at once.
struct MaxWindows: Sendable {
    private let window: SpatialWindow
    /// Depths, heights and widths of what the windows reach, and of what lies in memory.
    private let extent: [Int]
    private let stored: [Int]
    /// Whether a plane is copied with minus infinity around it, as windows reach beyond it.
    private let isPadded: Bool
    /// Of each element of the window, in order: its place in what lies in memory, and in the plane.
    private let taps: [Int32]
    private let marks: [Int32]
    /// Outputs of a stretch: all rows of a depth, with those between two rows that nobody asked for, or one row.
    private let stretch: Int
    private let joinsRows: Bool

    init(_ window: SpatialWindow) {
        self.window = window
        let axes = [window.z, window.y, window.x]
        extent = axes.map { ($0.output - 1) * $0.stride + ($0.kernel - 1) * $0.dilation + 1 }
        isPadded = zip(axes, extent).contains { $0.padBegin > 0 || $1 > $0.input }
        stored = isPadded ? extent : axes.map(\.input)
        func places(_ sizes: [Int]) -> [Int32] {
            (0..<window.z.kernel).flatMap { z in
                (0..<window.y.kernel).flatMap { y in
                    (0..<window.x.kernel).map { x in
                        Int32(
                            (z * window.z.dilation * sizes[1] + y * window.y.dilation) * sizes[2]
                                + x * window.x.dilation)
                    }
                }
            }
        }
        taps = places(stored)
        marks = places(axes.map(\.input))
        joinsRows = window.x.stride == 1 && window.y.stride == 1
        stretch = joinsRows ? (window.y.output - 1) * stored[2] + window.x.output : window.x.output
    }

    /// Memory that a thread needs beside a plane.
    struct Buffers {
        var padded: UnsafeMutablePointer<Float>
        var best: UnsafeMutablePointer<Float>
        var winners: UnsafeMutablePointer<Int32>
    }

    func withBuffers(_ body: (Buffers) -> Void) {
        let padded = isPadded ? extent[0] * extent[1] * extent[2] : 0
        withUnsafeTemporaryAllocation(of: Float.self, capacity: padded + stretch) { floats in
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: stretch) { winners in
                let start = floats.baseAddress!
                start.initialize(repeating: -.infinity, count: padded)
                body(Buffers(padded: start, best: start + padded, winners: winners.baseAddress!))
            }
        }
    }

    func pool(
        _ plane: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>, indices: UnsafeMutablePointer<Int64>,
        _ buffers: Buffers
    ) {
        if isPadded { pad(plane, into: buffers.padded) }
        let source = isPadded ? UnsafePointer(buffers.padded) : plane
        let (rows, columns) = (window.y.output, window.x.output)
        let rowsAtOnce = joinsRows ? rows : 1
        for z in 0..<window.z.output {
            for first in stride(from: 0, to: rows, by: rowsAtOnce) {
                let start = (z * window.z.stride * stored[1] + first * window.y.stride) * stored[2]
                vector.pointee.max_windows(
                    source + start, Int64(window.x.stride), taps, marks, Int64(taps.count), buffers.best,
                    buffers.winners, Int64(stretch))
                for row in 0..<rowsAtOnce {
                    let output = (z * rows + first + row) * columns
                    keep(
                        row * stored[2], of: buffers, z: z, y: first + row, out: out + output,
                        indices: indices + output)
                }
            }
        }
    }

    /// Copies the part of a plane that windows reach; what lies around it stays as it is.
    private func pad(_ plane: UnsafePointer<Float>, into padded: UnsafeMutablePointer<Float>) {
        let columns = min(window.x.input, extent[2] - window.x.padBegin)
        if columns <= 0 { return }
        for z in 0..<min(window.z.input, max(0, extent[0] - window.z.padBegin)) {
            for y in 0..<min(window.y.input, max(0, extent[1] - window.y.padBegin)) {
                let target = ((z + window.z.padBegin) * extent[1] + y + window.y.padBegin) * extent[2]
                (padded + target + window.x.padBegin).update(
                    from: plane + (z * window.y.input + y) * window.x.input, count: columns)
            }
        }
    }

    /// Writes one row of outputs from a stretch, from its entry `start` on.
    private func keep(
        _ start: Int, of buffers: Buffers, z: Int, y: Int, out: UnsafeMutablePointer<Float>,
        indices: UnsafeMutablePointer<Int64>
    ) {
        let origin = self.origin(z: z, y: y)
        let step = window.x.stride
        let (best, winners) = (buffers.best + start, buffers.winners + start)
        var lowest = Float.infinity
        for x in 0..<window.x.output {
            out[x] = best[x]
            indices[x] = Int64(origin &+ x &* step &+ Int(winners[x]))
            lowest = best[x] < lowest ? best[x] : lowest
        }
        guard lowest == -.infinity else { return }
        for x in 0..<window.x.output where out[x] == -.infinity { indices[x] = firstInside(z: z, y: y, x: x) }
    }

    /// Where in the plane the first window of a row of outputs begins; it may lie outside.
    private func origin(z: Int, y: Int) -> Int {
        let depth = z * window.z.stride - window.z.padBegin
        let row = y * window.y.stride - window.y.padBegin
        return (depth * window.y.input + row) * window.x.input - window.x.padBegin
    }

    /// The place of a window's first element inside the plane, -1 if it has none.
    private func firstInside(z: Int, y: Int, x: Int) -> Int64 {
        guard let depth = window.z.firstInside(z), let row = window.y.firstInside(y),
            let column = window.x.firstInside(x)
        else { return -1 }
        return Int64((depth * window.y.input + row) * window.x.input + column)
    }
}

extension SpatialAxis {
    /// The first input that the window of output `position` sees.
    fileprivate func firstInside(_ position: Int) -> Int? {
        let start = position * stride - padBegin
        let skipped = start < 0 ? (-start + dilation - 1) / dilation : 0
        let place = start + skipped * dilation
        return skipped < kernel && place < input ? place : nil
    }
}
