import TensorGraph

/// ONNX `ConvTranspose` and `Col2Im`, which is one with a fixed weight.
enum TransposedConvolutionOperators {
    static let all: [any OperatorPlugin] =
        [1, 11, 22].map { StandardOperator("ConvTranspose", since: $0, expand: convolutionTranspose) }
        + [StandardOperator("Col2Im", since: 18, structuralInputs: [1, 2], expand: columnsToImage)]

    @Sendable
    private static func convolutionTranspose(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (x, weight) = (try node.input(0), try node.input(1))
        let (shape, weightShape) = (node.shape(x), node.shape(weight))
        guard shape.count >= 3, weightShape.count == shape.count else {
            throw .invalid("an input of shape \(shape) and a weight of shape \(weightShape) do not fit")
        }
        let groups = try node.int("group", default: 1)
        guard groups > 0, weightShape[0] % groups == 0 else {
            throw .invalid("a weight of shape \(weightShape) does not divide into \(groups) groups")
        }
        let extent = try Extent(node, spatial: Array(shape[2...]), kernel: Array(weightShape[2...]))
        let result = try extent.transposedConvolution(x, weight, groups: groups, in: &node)
        guard let bias = node.optionalInput(2) else { return [result] }
        let channels = weightShape[1] * groups
        guard node.shape(bias) == [channels] else {
            throw .invalid("a bias of shape \(node.shape(bias)) does not fit \(channels) output channels")
        }
        let aligned = [1, channels] + shape.dropFirst(2).map { _ in 1 }
        return [try node.builder.add(result, try node.builder.view(bias, aligned))]
    }

    /// Sums blocks [N, C * block..., L] at their places in an image: every column is spread by a kernel that holds a
    /// single one.
    @Sendable
    private static func columnsToImage(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        guard let image = try node.constantInts(1, "image_shape"), let block = try node.constantInts(2, "block_shape"),
            image.count == block.count, (1...3).contains(block.count), shape.count == 3
        else { throw .invalid("\(node.type(x)), image_shape and block_shape do not fit") }
        let rank = block.count
        let ones = [Int](repeating: 1, count: rank)
        let strides = try node.ints("strides") ?? ones
        let dilations = try node.ints("dilations") ?? ones
        let pads = try node.ints("pads") ?? [Int](repeating: 0, count: 2 * rank)
        guard strides.count == rank, dilations.count == rank, pads.count == 2 * rank, block.allSatisfy({ $0 > 0 }),
            (strides + dilations).allSatisfy({ $0 > 0 }), shape[1] % block.elementCount == 0
        else { throw .invalid("strides, dilations, pads or block_shape \(block) do not fit \(node.type(x))") }
        try CheckedSize.check(image)
        let places = (0..<rank).map { axis in
            let room = image[axis] + pads[axis] + pads[rank + axis] - dilations[axis] * (block[axis] - 1) - 1
            return room / strides[axis] + 1
        }
        let entries = block.elementCount
        let channels = shape[1] / entries
        let taps = [channels * entries, 1] + block
        try CheckedSize.checkConstant(taps)
        var kernel = [Float](repeating: 0, count: taps.elementCount)
        for row in 0..<channels * entries { kernel[row * entries + row % entries] = 1 }
        let geometry = ConvolutionGeometry(
            groups: channels, strides: strides, dilations: dilations, padsBegin: Array(pads[..<rank]),
            padsEnd: Array(pads[rank...]))
        guard places.elementCount == shape[2] else {
            throw .invalid("\(shape[2]) blocks do not cover an image of \(image), which has places for \(places)")
        }
        return [
            try node.emit(
                TransposedConvolution(geometry, outSpatial: image),
                try node.builder.view(x, [shape[0], shape[1]] + places), node.constant(Constant(kernel, shape: taps)))
        ]
    }
}

/// How far the output of a transposed convolution reaches (ONNX spec, `ConvTranspose`).
private struct Extent {
    var attributes: SpatialAttributes
    var outputPadding: [Int]

    init(_ node: Expansion, spatial: [Int], kernel: [Int]) throws(GraphError) {
        attributes = try SpatialAttributes(node, spatial: spatial, kernel: kernel)
        outputPadding = try node.ints("output_padding") ?? spatial.map { _ in 0 }
        guard outputPadding.count == spatial.count, outputPadding.allSatisfy({ $0 >= 0 }) else {
            throw .invalid("attribute 'output_padding' does not fit \(spatial.count) spatial axes")
        }
        let mode = try node.string("auto_pad") ?? "NOTSET"
        let isAutomatic = mode.hasPrefix("SAME")
        var target = try node.ints("output_shape")
        if target == nil, isAutomatic { target = zip(spatial, attributes.strides).map { $0 * $1 } }
        guard let target else { return }
        guard target.count >= spatial.count else {
            throw .invalid("attribute 'output_shape' does not fit \(spatial.count) spatial axes")
        }
        // Some exporters write batch and channels too.
        for (axis, size) in target.suffix(spatial.count).enumerated() {
            let total = full(axis, spatial) + outputPadding[axis] - size
            // The odd entry goes where the name says; what is missing is added at the end.
            attributes.padsBegin[axis] = max(0, mode == "SAME_UPPER" ? total / 2 : total - total / 2)
            attributes.padsEnd[axis] = total - attributes.padsBegin[axis]
        }
    }

    /// Entries from the first to the last one that any window reaches.
    private func full(_ axis: Int, _ spatial: [Int]) -> Int {
        attributes.strides[axis] * (spatial[axis] - 1) + attributes.dilations[axis] * (attributes.kernel[axis] - 1) + 1
    }

    /// Entries that no window reaches, beyond the ends, are zeros.
    func transposedConvolution(_ x: ValueID, _ weight: ValueID, groups: Int, in node: inout Expansion)
        throws(GraphError) -> ValueID
    {
        let spatial = Array(node.shape(x)[2...])
        let ends = zip(attributes.padsEnd, outputPadding).map { $0 - $1 }
        let geometry = ConvolutionGeometry(
            groups: groups, strides: attributes.strides, dilations: attributes.dilations,
            padsBegin: attributes.padsBegin, padsEnd: ends.map { max(0, $0) })
        let sizes = spatial.indices.map { full($0, spatial) - geometry.padsBegin[$0] - geometry.padsEnd[$0] }
        guard sizes.allSatisfy({ $0 > 0 }) else { throw .invalid("its pads leave nothing of the output") }
        let result = try node.emit(TransposedConvolution(geometry, outSpatial: sizes), x, weight)
        let padding = Padding(
            mode: nil, before: [0, 0] + spatial.map { _ in 0 }, after: [0, 0] + ends.map { max(0, -$0) })
        if padding.after.allSatisfy({ $0 == 0 }) { return result }
        return try node.emit(padding, result, node.scalar(0))
    }
}
