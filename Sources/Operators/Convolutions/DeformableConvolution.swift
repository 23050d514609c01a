import Kernels
import TensorGraph

/// ONNX `DeformConv` (Dai et al. 2017; masks Zhu et al. 2019): a convolution whose kernel elements read the input at
/// displaced positions, linearly interpolated.
enum DeformableConvolution {
    static let all: [any OperatorPlugin] = [19, 22].map { StandardOperator("DeformConv", since: $0, expand: expand) }

    @Sendable
    private static func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (x, weight, offset) = (try node.input(0), try node.input(1), try node.input(2))
        let (shape, weightShape) = (node.shape(x), node.shape(weight))
        guard shape.count == 4, weightShape.count == 4 else {
            throw .unsupported("a deformable convolution of \(node.type(x)); two spatial axes are implemented")
        }
        let attributes = try SpatialAttributes(node, spatial: Array(shape[2...]), kernel: Array(weightShape[2...]))
        let groups = try node.int("group", default: 1)
        let offsetGroups = try node.int("offset_group", default: 1)
        let geometry = ConvolutionGeometry(
            groups: groups, strides: attributes.strides, dilations: attributes.dilations,
            padsBegin: attributes.padsBegin, padsEnd: attributes.padsEnd)
        let out = try geometry.sizes(input: shape, weight: weightShape).outSpatial
        let kernel = attributes.kernel.elementCount
        let places = out.elementCount
        guard offsetGroups > 0, shape[1] % offsetGroups == 0,
            node.shape(offset) == [shape[0], offsetGroups * kernel * 2] + out
        else { throw .invalid("offsets of shape \(node.shape(offset)) do not fit \(offsetGroups) groups of \(out)") }
        let lead = [shape[0], offsetGroups]
        let offsets = try node.builder.view(offset, lead + [kernel, 2, places])
        var taps: [[PointSampling.Tap]] = []
        for axis in 0..<2 {
            let own = try node.builder.view(
                try node.builder.slice(offsets, axis: 3, axis..<axis + 1), lead + [kernel, places])
            let base = node.constant(
                Constant(
                    (0..<kernel * places).map { index in
                        let (tap, place) = index.quotientAndRemainder(dividingBy: places)
                        let step = axis == 0 ? tap / attributes.kernel[1] : tap % attributes.kernel[1]
                        let at = axis == 0 ? place / out[1] : place % out[1]
                        return Float(
                            at * attributes.strides[axis] + step * attributes.dilations[axis]
                                - attributes.padsBegin[axis])
                    }, shape: [kernel, places]))
            let position = try node.builder.view(try node.builder.add(own, base), lead + [kernel * places])
            taps.append(try PointSampling.linear(position, size: shape[axis + 2], .zeros, in: &node.builder))
        }
        let channels = shape[1] / offsetGroups
        let grouped = try node.builder.view(x, lead + [channels, shape[2] * shape[3]])
        var read = try PointSampling.sample(
            try node.builder.transpose(grouped, [0, 1, 3, 2]), taps: taps, sizes: Array(shape[2...]),
            in: &node.builder)
        if let mask = node.optionalInput(4) {
            guard node.shape(mask) == [shape[0], offsetGroups * kernel] + out else {
                throw .invalid("a mask of shape \(node.shape(mask)) does not fit the offsets")
            }
            read = try node.builder.multiply(read, try node.builder.view(mask, lead + [kernel * places, 1]))
        }
        // [N, offset groups, kernel, places, channels] -> [N, groups, channels of a group * kernel, places].
        let split = try node.builder.view(read, lead + [kernel, places, channels])
        let columns = try node.builder.view(
            try node.builder.transpose(split, [0, 1, 4, 2, 3]), [shape[0], groups, shape[1] / groups * kernel, places])
        let rows = try node.builder.view(weight, [groups, weightShape[0] / groups, weightShape[1] * kernel])
        let result = try node.builder.view(
            try node.builder.matmul(rows, columns), [shape[0], weightShape[0]] + out)
        guard let bias = node.optionalInput(3) else { return [result] }
        guard node.shape(bias) == [weightShape[0]] else {
            throw .invalid("a bias of shape \(node.shape(bias)) does not fit \(weightShape[0]) output channels")
        }
        return [try node.builder.add(result, try node.builder.view(bias, [1, weightShape[0], 1, 1]))]
    }
}
