import TensorGraph

/// ONNX `Conv`.
enum ConvolutionOperators {
    static let all: [any OperatorPlugin] = [1, 11, 22].map { version in
        StandardOperator("Conv", since: version, expand: convolution)
    }

    @Sendable
    static func convolution(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (x, weight) = (try node.input(0), try node.input(1))
        let (shape, weightShape) = (node.shape(x), node.shape(weight))
        guard shape.count >= 3, weightShape.count == shape.count else {
            throw .invalid("an input of shape \(shape) and a weight of shape \(weightShape) do not fit")
        }
        let attributes = try SpatialAttributes(node, spatial: Array(shape[2...]), kernel: Array(weightShape[2...]))
        let geometry = ConvolutionGeometry(
            groups: try node.int("group", default: 1), strides: attributes.strides, dilations: attributes.dilations,
            padsBegin: attributes.padsBegin, padsEnd: attributes.padsEnd)
        // On a map smaller than the kernel, outer taps see nothing but padding: they need no arithmetic.
        let (taps, reduced) = geometry.withoutIdleTaps(input: Array(shape[2...]), kernel: Array(weightShape[2...]))
        var used = weight
        let counts = Array(weightShape[..<2]) + taps.map(\.count)
        if counts != weightShape {
            let slicing = Slicing(
                starts: [0, 0] + taps.map(\.lowerBound), steps: counts.map { _ in 1 }, counts: counts)
            used = try node.emit(slicing, weight)
        }
        let result = try node.emit(Convolution(reduced), x, used)
        guard let bias = node.optionalInput(2) else { return [result] }
        guard node.shape(bias) == [weightShape[0]] else {
            throw .invalid("a bias of shape \(node.shape(bias)) does not fit \(weightShape[0]) output channels")
        }
        let aligned = [1, weightShape[0]] + attributes.kernel.map { _ in 1 }
        return [try node.builder.add(result, try node.builder.view(bias, aligned))]
    }
}
