public import Kernels
public import TensorGraph

/// How a convolution's kernel slides: everything but the sizes of its tensors.
public struct ConvolutionGeometry: Hashable, Sendable, CustomStringConvertible {
    public let groups: Int
    public let strides: [Int]
    public let dilations: [Int]
    public let padsBegin: [Int]
    public let padsEnd: [Int]

    public init(groups: Int, strides: [Int], dilations: [Int], padsBegin: [Int], padsEnd: [Int]) {
        self.groups = groups
        self.strides = strides
        self.dilations = dilations
        self.padsBegin = padsBegin
        self.padsEnd = padsEnd
    }

    public var description: String {
        "strides \(strides), dilations \(dilations), pads \(padsBegin) \(padsEnd), groups \(groups)"
    }

    /// The sizes of a convolution of x [B, C, spatial...] with w [M, C/groups, kernel...].
    /// - Throws: `invalid` if they do not fit together.
    public func sizes(input x: [Int], weight w: [Int]) throws(GraphError) -> ConvolutionShape {
        let spatial = x.count - 2
        guard (1...3).contains(spatial) else {
            throw .unsupported("a convolution over \(max(spatial, 0)) spatial axes; 1 to 3 are implemented")
        }
        guard w.count == x.count, [strides, dilations, padsBegin, padsEnd].allSatisfy({ $0.count == spatial }) else {
            throw .invalid("its input \(x), weight \(w), strides, dilations and pads differ in rank")
        }
        guard groups > 0, w[0] % groups == 0, w[0] > 0, w[1] > 0, x[1] == w[1] * groups else {
            throw .invalid("a weight of shape \(w) in \(groups) groups does not fit an input of shape \(x)")
        }
        guard (padsBegin + padsEnd).allSatisfy({ $0 >= 0 }), (strides + dilations + w[2...]).allSatisfy({ $0 > 0 })
        else { throw .invalid("a pad is negative, or a stride, dilation or kernel size is not positive") }
        return ConvolutionShape(
            batch: x[0], inChannels: x[1], outChannels: w[0], groups: groups, inSpatial: Array(x[2...]),
            kernel: Array(w[2...]), strides: strides, dilations: dilations, padsBegin: padsBegin, padsEnd: padsEnd)
    }
}

extension ConvolutionGeometry {
    /// The taps of a kernel that meet the input anywhere, axis by axis, and the geometry of the kernel cut down to them.
    ///
    /// - Parameters:
    ///   - input: sizes of the spatial axes.
    ///   - kernel: the kernel's sizes on them.
    func withoutIdleTaps(input: [Int], kernel: [Int]) -> (taps: [Range<Int>], geometry: ConvolutionGeometry) {
        var (begin, end) = (padsBegin, padsEnd)
        let taps = input.indices.map { axis in
            let room = input[axis] + begin[axis] + end[axis] - dilations[axis] * (kernel[axis] - 1) - 1
            let outputs = room < 0 ? 0 : room / strides[axis] + 1
            let used = (0..<kernel[axis]).filter { tap in
                let first = tap * dilations[axis] - begin[axis]
                return (0..<outputs).contains { 0..<input[axis] ~= first + $0 * strides[axis] }
            }
            guard let first = used.first, let last = used.last else { return 0..<kernel[axis] }
            let pads = (
                begin[axis] - first * dilations[axis], end[axis] - (kernel[axis] - 1 - last) * dilations[axis]
            )
            guard pads.0 >= 0, pads.1 >= 0 else { return 0..<kernel[axis] }
            (begin[axis], end[axis]) = pads
            return first..<last + 1
        }
        return (
            taps,
            ConvolutionGeometry(
                groups: groups, strides: strides, dilations: dilations, padsBegin: begin, padsEnd: end)
        )
    }
}

extension ConvolutionShape {
    /// Multiply-adds of one sample.
    var sampleMultiplyAdds: Double { Double(outChannels) * Double(unfoldedRows) * Double(positions) }
}
