/// The sizes of one convolution: x [batch, inChannels, inSpatial...], w [outChannels, inChannels/groups, kernel...],
/// out [batch, outChannels, outSpatial...], with one to three spatial axes (ONNX `Conv`, `auto_pad` already resolved).
///
/// A transposed convolution is the same shape read backwards: its input has this shape's output sizes and the other way
/// round, its forward pass is `convolutionInputGradient`, its input gradient is `convolutionForward`, and its weight
/// gradients are the ones here with x and g exchanged.
public struct ConvolutionShape: Sendable, Equatable {
    public let batch: Int
    public let inChannels: Int
    public let outChannels: Int
    public let groups: Int
    public let inSpatial: [Int]
    public let kernel: [Int]
    public let strides: [Int]
    public let dilations: [Int]
    public let padsBegin: [Int]
    public let padsEnd: [Int]
    public let outSpatial: [Int]
    let window: SpatialWindow

    public init(
        batch: Int, inChannels: Int, outChannels: Int, groups: Int = 1, inSpatial: [Int], kernel: [Int],
        strides: [Int], dilations: [Int], padsBegin: [Int], padsEnd: [Int]
    ) {
        precondition(batch >= 0 && inChannels > 0 && outChannels > 0, "a convolution needs channels")
        precondition(
            groups > 0 && inChannels % groups == 0 && outChannels % groups == 0,
            "\(groups) groups do not divide \(inChannels) input and \(outChannels) output channels")
        self.batch = batch
        self.inChannels = inChannels
        self.outChannels = outChannels
        self.groups = groups
        self.inSpatial = inSpatial
        self.kernel = kernel
        self.strides = strides
        self.dilations = dilations
        self.padsBegin = padsBegin
        self.padsEnd = padsEnd
        let rank = inSpatial.count
        precondition(
            [kernel, strides, dilations, padsBegin, padsEnd].allSatisfy { $0.count == rank },
            "a convolution's kernel, strides, dilations and pads need \(rank) entries each")
        outSpatial = (0..<rank).map { axis in
            let room = inSpatial[axis] + padsBegin[axis] + padsEnd[axis] - dilations[axis] * (kernel[axis] - 1) - 1
            return room < 0 ? 0 : room / strides[axis] + 1
        }
        window = SpatialWindow(
            input: inSpatial, kernel: kernel, strides: strides, dilations: dilations, padsBegin: padsBegin,
            padsEnd: padsEnd, output: outSpatial)
    }

    public var inputCount: Int { batch * inSampleCount }
    public var outputCount: Int { batch * outSampleCount }
    public var weightCount: Int { outChannels * unfoldedRows }

    /// Output positions of one channel: T of the linear norm rule.
    public var positions: Int { window.outputCount }
    /// Rows of the unfolded input of one group, inChannels/groups * kernel elements: d of the linear norm rule.
    public var unfoldedRows: Int { inGroup * window.kernelCount }

    var inGroup: Int { inChannels / groups }
    var outGroup: Int { outChannels / groups }
    var inPlane: Int { window.inputCount }
    var inSampleCount: Int { inChannels * inPlane }
    var outSampleCount: Int { outChannels * positions }

    /// One input channel per group; done without unfolding.
    var isDepthwise: Bool { inGroup == 1 && groups > 1 }

    /// The unfolded input is the input itself.
    var isPointwise: Bool {
        [window.z, window.y, window.x].allSatisfy {
            $0.kernel == 1 && $0.stride == 1 && $0.padBegin == 0 && $0.padEnd == 0
        }
    }
}
