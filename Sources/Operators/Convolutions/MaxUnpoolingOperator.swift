import Kernels
import TensorGraph

/// ONNX `MaxUnpool`: each element at the place that its index names in the unpooled plane, zeros elsewhere.
enum MaxUnpoolingOperator {
    static let all: [any OperatorPlugin] = [9, 11, 22].map {
        StandardOperator("MaxUnpool", since: $0, structuralInputs: [2], expand: expand)
    }

    /// Indices count through the whole tensor; within a plane they are the rest of a division by its size, which keeps
    /// the samples apart.
    @Sendable
    private static func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (x, indices) = (try node.input(0), try node.input(1))
        let shape = node.shape(x)
        let attributes = try SpatialAttributes(node, spatial: Array(try node.spatialShape(x)))
        guard node.shape(indices) == shape else { throw .invalid("\(node.type(indices)) do not fit \(node.type(x))") }
        let spatial = attributes.kernel.indices.map { axis in
            (shape[axis + 2] - 1) * attributes.strides[axis] - attributes.padsBegin[axis] - attributes.padsEnd[axis]
                + attributes.kernel[axis]
        }
        let (planes, entries) = (Array(shape[..<2]), shape[2...].elementCount)
        try CheckedSize.check(planes + spatial)
        let places = try node.builder.binary(
            .mod, try node.builder.view(indices, planes + [entries]),
            node.builder.integer(Int64(max(1, spatial.elementCount))))
        let scattered = try node.emit(
            ElementScattering(axis: 2, .none), node.builder.zeros(planes + [spatial.elementCount]), places,
            try node.builder.view(x, planes + [entries]))
        let unpooled = try node.builder.view(scattered, planes + spatial)
        guard let target = try node.constantInts(2, "output_shape") else { return [unpooled] }
        guard target.count == shape.count, Array(target[..<2]) == planes else {
            throw .invalid("output_shape \(target) does not fit \(node.type(x))")
        }
        try CheckedSize.check(target)
        let after = [0, 0] + zip(target[2...], spatial).map { $0 - $1 }
        let padding = Padding(mode: nil, before: after.map { _ in 0 }, after: after)
        return [try node.emit(padding, unpooled, node.scalar(0))]
    }
}
