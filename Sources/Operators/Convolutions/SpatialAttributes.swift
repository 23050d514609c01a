import TensorGraph

/// The attributes that ONNX's convolutions and poolings share, with `auto_pad` resolved (spec, `Conv` and `AveragePool`).
struct SpatialAttributes {
    var kernel: [Int]
    var strides: [Int]
    var dilations: [Int]
    var padsBegin: [Int]
    var padsEnd: [Int]
    /// Whether the model gave pads or auto_pad VALID, so that `ceil_mode` decides about the last window.
    var isExplicitlyPadded: Bool
    /// Beyond it an attribute is a mistake, and places in the input could not be counted.
    private static let largest = 1 << 28

    /// - Parameters:
    ///   - spatial: sizes of the input's spatial axes.
    ///   - kernel: the kernel's sizes if the attribute `kernel_shape` may be missing.
    init(_ node: Expansion, spatial: [Int], kernel default: [Int]? = nil) throws(GraphError) {
        let rank = spatial.count
        guard (1...3).contains(rank) else {
            throw .unsupported("a window over \(rank) spatial axes; 1 to 3 are implemented")
        }
        let ones = [Int](repeating: 1, count: rank)
        let zeros = [Int](repeating: 0, count: 2 * rank)
        guard let kernel = try node.ints("kernel_shape") ?? `default` else {
            throw .invalid("attribute 'kernel_shape' is missing")
        }
        if let expected = `default`, expected != kernel {
            throw .invalid("attribute 'kernel_shape' is \(kernel), but the weight has a kernel of \(expected)")
        }
        self.kernel = kernel
        strides = try node.ints("strides") ?? ones
        dilations = try node.ints("dilations") ?? ones
        let pads = try node.ints("pads") ?? zeros
        guard kernel.count == rank, strides.count == rank, dilations.count == rank, pads.count == 2 * rank else {
            throw .invalid("kernel_shape, strides, dilations or pads do not fit \(rank) spatial axes")
        }
        guard (kernel + strides + dilations).allSatisfy({ $0 > 0 }), pads.allSatisfy({ $0 >= 0 }) else {
            throw .invalid("a kernel size, stride or dilation is not positive, or a pad is negative")
        }
        guard (kernel + strides + dilations + pads).allSatisfy({ $0 <= Self.largest }) else {
            throw .invalid("a kernel size, stride, dilation or pad is larger than \(Self.largest)")
        }
        padsBegin = Array(pads[..<rank])
        padsEnd = Array(pads[rank...])
        let mode = try node.string("auto_pad") ?? "NOTSET"
        isExplicitlyPadded = mode == "NOTSET" || mode == "VALID"
        switch mode {
        case "NOTSET": break
        case "VALID": (padsBegin, padsEnd) = (ones.map { $0 - 1 }, ones.map { $0 - 1 })
        case "SAME_UPPER", "SAME_LOWER":
            for axis in 0..<rank {
                let outputs = (spatial[axis] + strides[axis] - 1) / strides[axis]
                let reach = (outputs - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1
                let total = max(0, reach - spatial[axis])
                // The odd entry goes where the name says.
                padsBegin[axis] = mode == "SAME_UPPER" ? total / 2 : total - total / 2
                padsEnd[axis] = total - padsBegin[axis]
            }
        default: throw .invalid("auto_pad '\(mode)' does not exist")
        }
    }

    /// Sizes of a pooling's output. With `ceilMode` a last window may reach over the end, but must not begin behind
    /// the input and its leading pad.
    func pooledSizes(_ spatial: [Int], ceilMode: Bool) throws(GraphError) -> [Int] {
        var sizes: [Int] = []
        for axis in spatial.indices {
            let room = spatial[axis] + padsBegin[axis] + padsEnd[axis] - dilations[axis] * (kernel[axis] - 1) - 1
            guard room >= 0 || (ceilMode && room > -strides[axis]) else {
                throw .invalid("a window of \(kernel[axis]) does not fit axis \(axis + 2) of \(spatial[axis]) entries")
            }
            guard room >= 0 else {
                sizes.append(1)
                continue
            }
            var size = room / strides[axis] + 1
            if ceilMode, isExplicitlyPadded, room % strides[axis] != 0,
                size * strides[axis] < spatial[axis] + padsBegin[axis]
            {
                size += 1
            }
            sizes.append(size)
        }
        return sizes
    }
}
