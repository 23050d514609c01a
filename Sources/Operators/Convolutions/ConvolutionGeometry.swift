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

extension ConvolutionShape {
    /// Multiply-adds of one sample.
    var sampleMultiplyAdds: Double { Double(outChannels) * Double(unfoldedRows) * Double(positions) }
}
