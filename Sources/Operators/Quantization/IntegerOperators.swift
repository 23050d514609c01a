import Kernels
import ONNXFormat
import TensorGraph

/// Products and convolutions of integers (ONNX `MatMulInteger`, `ConvInteger`, `QLinearMatMul`, `QLinearConv`).
enum IntegerOperators {
    static let all: [any OperatorPlugin] =
        [
            StandardOperator("MatMulInteger", since: 10) { node throws(GraphError) in
                node.outputElementTypes[0] = .int32
                let zeroPoint = try rows(node.optionalInput(2), &node)
                let a = try centred(try node.input(0), zeroPoint, in: &node)
                let b = try centred(try node.input(1), node.optionalInput(3), in: &node)
                return [try node.emit(IntegerMatrixProduct(), a, b)]
            },
            StandardOperator("ConvInteger", since: 10) { node throws(GraphError) in
                node.outputElementTypes[0] = .int32
                return [try convolution(&node, weight: 1, zeroPoints: (2, 3))]
            },
            StandardOperator("QLinearConv", since: 10, expand: quantizedConvolution),
        ]
        + [10, 21].map { StandardOperator("QLinearMatMul", since: $0, expand: quantizedProduct) }

    @Sendable
    private static func quantizedProduct(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let zeroPoint = try rows(node.optionalInput(2), &node)
        let a = try centred(try node.input(0), zeroPoint, in: &node)
        let b = try centred(try node.input(3), node.optionalInput(5), in: &node)
        let sums = try node.builder.convert(try node.emit(IntegerMatrixProduct(), a, b), to: .float32)
        let scale = try node.builder.multiply(try rows(node.input(1), &node)!, try scalar(node.input(4), &node))
        return [try requantized(sums, scale, outputScale: 6, in: &node)]
    }

    @Sendable
    private static func quantizedConvolution(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        var sums = try convolution(&node, weight: 3, zeroPoints: (2, 5))
        let spatial = node.shape(sums).dropFirst(2).map { _ in 1 }
        if let bias = node.optionalInput(8) {
            sums = try node.builder.add(sums, try node.builder.view(bias, node.shape(bias) + spatial))
        }
        var weightScale = try scalar(node.input(4), &node)
        if node.shape(weightScale).count == 1 {
            weightScale = try node.builder.view(weightScale, node.shape(weightScale) + spatial)
        }
        let scale = try node.builder.multiply(try scalar(node.input(1), &node), weightScale)
        return [
            try requantized(try node.builder.convert(sums, to: .float32), scale, outputScale: 6, in: &node)
        ]
    }

    /// round(sums * scale / output scale) + output zero point; the zero point is the input behind the scale.
    private static func requantized(_ sums: ValueID, _ scale: ValueID, outputScale: Int, in node: inout Expansion)
        throws(GraphError) -> ValueID
    {
        let type = try node.elementType(ofInput: outputScale + 1)
        node.outputElementTypes[0] = type
        let ratio = try node.builder.divide(scale, try scalar(node.input(outputScale), &node))
        return try QuantizationOperators.quantized(
            try node.builder.multiply(sums, ratio), zeroPoint: try scalar(node.input(outputScale + 1), &node),
            type: type,
            in: &node)
    }

    // MARK: Pieces

    /// A tensor of one entry as a scalar, so that it broadcasts to any rank.
    private static func scalar(_ value: ValueID, _ node: inout Expansion) throws(GraphError) -> ValueID {
        node.type(value).count == 1 ? try node.builder.view(value, []) : value
    }

    /// What is given per row of a matrix, as a column.
    private static func rows(_ value: ValueID?, _ node: inout Expansion) throws(GraphError) -> ValueID? {
        guard let value else { return nil }
        let shape = node.shape(value)
        if shape.elementCount == 1 { return try node.builder.view(value, []) }
        return shape.count == 1 ? try node.builder.view(value, shape + [1]) : value
    }

    private static func centred(_ value: ValueID, _ zeroPoint: ValueID?, in node: inout Expansion) throws(GraphError)
        -> ValueID
    {
        guard let zeroPoint else { return value }
        return try node.builder.subtract(value, zeroPoint)
    }

    /// The linear rule on the unfolded input, group by group.
    private static func convolution(_ node: inout Expansion, weight index: Int, zeroPoints: (Int, Int))
        throws(GraphError) -> ValueID
    {
        var (x, weight) = (try node.input(0), try node.input(index))
        let (shape, weightShape) = (node.shape(x), node.shape(weight))
        guard shape.count >= 3, weightShape.count == shape.count else {
            throw .invalid("an input of shape \(shape) and a weight of shape \(weightShape) do not fit")
        }
        let attributes = try SpatialAttributes(node, spatial: Array(shape[2...]), kernel: Array(weightShape[2...]))
        let groups = try node.int("group", default: 1)
        let geometry = ConvolutionGeometry(
            groups: groups, strides: attributes.strides, dilations: attributes.dilations,
            padsBegin: attributes.padsBegin, padsEnd: attributes.padsEnd)
        let out = try geometry.sizes(input: shape, weight: weightShape).outSpatial
        if let zero = node.optionalInput(zeroPoints.0) {
            x = try node.builder.subtract(x, try scalar(zero, &node))
        }
        if let zero = node.optionalInput(zeroPoints.1) {
            let aligned = node.type(zero).count == 1 ? [] : node.shape(zero) + weightShape.dropFirst().map { _ in 1 }
            weight = try node.builder.subtract(weight, try node.builder.view(zero, aligned))
        }
        // Pads stand for zero, that is for the zero point, so they come after it is taken off.
        let padding = Padding(
            mode: nil, before: [0, 0] + geometry.padsBegin, after: [0, 0] + geometry.padsEnd)
        x = try node.emit(padding, x, node.builder.integer(0))
        let padded = Array(node.shape(x)[2...])
        let (taps, places) = (attributes.kernel.elementCount, out.elementCount)
        try CheckedSize.checkConstant([taps, places])
        let indices = (0..<taps * places).map { element in
            let (tap, place) = element.quotientAndRemainder(dividingBy: places)
            return padded.indices.reduce(Int64(0)) { offset, axis in
                let step = tap / attributes.kernel.rowMajorStrides[axis] % attributes.kernel[axis]
                let at = place / out.rowMajorStrides[axis] % out[axis]
                return offset * Int64(padded[axis])
                    + Int64(at * geometry.strides[axis] + step * geometry.dilations[axis])
            }
        }
        let planes = try node.builder.view(x, [shape[0], shape[1], padded.elementCount])
        let read = try node.emit(Gathering(axis: 2), planes, node.constant(Constant(indices, shape: [taps, places])))
        let columns = try node.builder.view(read, [shape[0], groups, weightShape[1] * taps, places])
        let rows = try node.builder.view(weight, [groups, weightShape[0] / groups, weightShape[1] * taps])
        return try node.builder.view(
            try node.emit(IntegerMatrixProduct(), rows, columns), [shape[0], weightShape[0]] + out)
    }
}
