import Kernels
import ONNXFormat
import TensorGraph

/// ONNX's poolings over windows and over whole planes.
enum PoolingOperators {
    static let all: [any OperatorPlugin] =
        [1, 8, 10, 11, 12, 22].map { StandardOperator("MaxPool", since: $0, expand: maxPool) }
        + [1, 7, 10, 11, 19, 22].map { StandardOperator("AveragePool", since: $0, expand: averagePool) }
        + [1, 22].flatMap { version in
            [
                StandardOperator("GlobalAveragePool", since: version, expand: globalAveragePool),
                StandardOperator("GlobalMaxPool", since: version, expand: globalMaxPool),
            ]
        }

    @Sendable
    private static func maxPool(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        // Integers are of one byte (ONNX MaxPool), which floats hold exactly.
        let isInteger = node.type(x).elementType == .int64
        let floats = isInteger ? try node.builder.convert(x, to: .float32) : x
        var results = try node.builder.emitAll(MaxPooling(try geometry(node, x)), [floats])
        if isInteger { results[0] = try node.builder.convert(results[0], to: .int64) }
        guard node.node.outputs.count > 1, !node.node.outputs[1].isEmpty else { return [results[0]] }
        node.outputElementTypes[1] = .int64
        let flattening = FlattenedIndices(
            spatial: Array(node.shape(x)[2...]), isColumnMajor: try node.flag("storage_order"))
        return [results[0], try node.emit(flattening, results[1])]
    }

    @Sendable
    private static func averagePool(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let pooling = AveragePooling(try geometry(node, x), countsPads: try node.flag("count_include_pad"))
        return [try node.emit(pooling, x)]
    }

    static func geometry(_ node: Expansion, _ x: ValueID) throws(GraphError) -> PoolingGeometry {
        let spatial = Array(try node.spatialShape(x))
        let attributes = try SpatialAttributes(node, spatial: spatial)
        return PoolingGeometry(
            kernel: attributes.kernel, strides: attributes.strides, dilations: attributes.dilations,
            padsBegin: attributes.padsBegin, padsEnd: attributes.padsEnd,
            outSpatial: try attributes.pooledSizes(spatial, ceilMode: try node.flag("ceil_mode")))
    }

    @Sendable
    private static func globalAveragePool(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let axes = Array(try node.spatialShape(x).indices)
        return [try node.emit(Reduction(.mean, axes: axes, keepsAxes: true), x)]
    }

    /// One window over the whole plane, so that among equals the first gets the gradient, as in PyTorch.
    @Sendable
    private static func globalMaxPool(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let spatial = Array(try node.spatialShape(x))
        let plane = spatial.elementCount
        guard plane > 0 else { throw .invalid("there is no maximum of an empty plane") }
        let geometry = PoolingGeometry(
            kernel: [plane], strides: [1], dilations: [1], padsBegin: [0], padsEnd: [0], outSpatial: [1])
        let shape = node.shape(x)
        let planes = try node.builder.view(x, shape[..<2] + [plane])
        let result = try node.builder.emitAll(MaxPooling(geometry), [planes])[0]
        return [try node.builder.view(result, shape[..<2] + spatial.map { _ in 1 })]
    }
}

extension Expansion {
    /// The sizes of [N, C, spatial...] behind the channels.
    func spatialShape(_ x: ValueID) throws(GraphError) -> ArraySlice<Int> {
        guard shape(x).count >= 3 else { throw .invalid("an input of shape \(shape(x)) has no spatial axes") }
        return shape(x)[2...]
    }
}
