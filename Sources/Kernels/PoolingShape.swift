/// The sizes of one pooling: x [planes, inSpatial...] and out [planes, outSpatial...], planes = batch * channels, with one to
/// three spatial axes (ONNX `MaxPool`, `AveragePool`).
///
/// `auto_pad` and `ceil_mode` are already resolved in `padsBegin`, `padsEnd` and `outSpatial`; the last window may reach
/// beyond `padsEnd`.
public struct PoolingShape: Sendable, Equatable {
    public let planes: Int
    public let inSpatial: [Int]
    public let kernel: [Int]
    public let strides: [Int]
    public let dilations: [Int]
    public let padsBegin: [Int]
    public let padsEnd: [Int]
    public let outSpatial: [Int]
    let window: SpatialWindow

    public init(
        planes: Int, inSpatial: [Int], kernel: [Int], strides: [Int], dilations: [Int], padsBegin: [Int],
        padsEnd: [Int], outSpatial: [Int]
    ) {
        precondition(planes >= 0, "a pooling of \(planes) planes")
        self.planes = planes
        self.inSpatial = inSpatial
        self.kernel = kernel
        self.strides = strides
        self.dilations = dilations
        self.padsBegin = padsBegin
        self.padsEnd = padsEnd
        self.outSpatial = outSpatial
        window = SpatialWindow(
            input: inSpatial, kernel: kernel, strides: strides, dilations: dilations, padsBegin: padsBegin,
            padsEnd: padsEnd, output: outSpatial)
    }

    public var inPlane: Int { window.inputCount }
    public var outPlane: Int { window.outputCount }

    /// Planes that are worth handing to a thread at once.
    var grain: Int { max(1, 4096 / max(1, window.outputCount * window.kernelCount)) }
}

/// Outputs of one row that see the input through one kernel element.
struct WindowStretch {
    /// The first such output, flattened.
    var output: Int
    /// The input that it sees, flattened; the next output sees the one a stride further on.
    var input: Int
    var count: Int
}

extension SpatialWindow {
    /// All stretches of a plane; those of one output in the order of its window.
    var stretches: [WindowStretch] {
        var list: [WindowStretch] = []
        for kz in 0..<z.kernel {
            for oz in z.outputsInside(tap: kz) {
                let iz = oz * z.stride + kz * z.dilation - z.padBegin
                for ky in 0..<y.kernel {
                    for oy in y.outputsInside(tap: ky) {
                        let iy = oy * y.stride + ky * y.dilation - y.padBegin
                        for kx in 0..<x.kernel {
                            let columns = x.outputsInside(tap: kx)
                            if columns.isEmpty { continue }
                            let ix = columns.lowerBound * x.stride + kx * x.dilation - x.padBegin
                            list.append(
                                WindowStretch(
                                    output: (oz * y.output + oy) * x.output + columns.lowerBound,
                                    input: (iz * y.input + iy) * x.input + ix, count: columns.count))
                        }
                    }
                }
            }
        }
        return list
    }
}
