import Kernels
import ONNXFormat
import TensorGraph

/// ONNX `MaxRoiPool` (Girshick 2015): the greatest entry in each of a grid of bins, of which every region has as many.
///
/// Bins of regions that are computed from data have no fixed size. So a bin is a mask over rows and one over columns, and
/// the maximum is taken along one axis after the other.
enum RegionMaximumOperator {
    static let all: [any OperatorPlugin] = [1, 22].map { version in
        StandardOperator("MaxRoiPool", since: version, expand: pool)
    }

    /// x [N, C, H, W] and regions [R, 5] of an image's number, left, top, right and bottom, both ends included.
    @Sendable
    private static func pool(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (x, regions) = (try node.input(0), try node.input(1))
        let shape = node.shape(x)
        guard shape.count == 4, node.shape(regions).count == 2, node.shape(regions)[1] == 5,
            let pooled = try node.ints("pooled_shape"), pooled.count == 2, pooled.allSatisfy({ $0 > 0 })
        else { throw .invalid("\(node.type(regions)) are no regions of \(node.type(x)), or pooled_shape is missing") }
        let scale = try node.float("spatial_scale", default: 1)
        let count = node.shape(regions)[0]
        func column(_ index: Int) throws(GraphError) -> ValueID {
            try node.builder.view(try node.builder.slice(regions, axis: 1, index..<index + 1), [count, 1, 1])
        }
        let images = try node.builder.convert(try node.builder.view(try column(0), [count]), to: .int64)
        let rows = try bins(try column(2), try column(4), scale, pooled[0], size: shape[2], in: &node)
        let columns = try bins(try column(1), try column(3), scale, pooled[1], size: shape[3], in: &node)

        let planes = try node.builder.view(
            try node.emit(Gathering(axis: 0), x, images), [count, shape[1], 1, shape[2], shape[3]])
        let least = node.scalar(-.infinity)
        let inRows = try node.builder.select(
            try node.builder.view(rows, [count, 1, pooled[0], shape[2], 1]), planes, least)
        let bands = try node.emit(Reduction(.max, axes: [3], keepsAxes: false), inRows)
        let inBins = try node.builder.select(
            try node.builder.view(columns, [count, 1, 1, pooled[1], shape[3]]),
            try node.builder.view(bands, [count, shape[1], pooled[0], 1, shape[3]]), least)
        let greatest = try node.emit(Reduction(.max, axes: [4], keepsAxes: false), inBins)
        // A bin outside of the image holds nothing.
        let isEmpty = try node.builder.compare(.equal, greatest, least)
        return [try node.builder.select(isEmpty, node.scalar(0), greatest)]
    }

    /// Whether an entry of an axis lies in a bin: [R, bins, size]. Bins of one region may overlap by an entry.
    private static func bins(
        _ start: ValueID, _ end: ValueID, _ scale: Float, _ count: Int, size: Int, in node: inout Expansion
    ) throws(GraphError) -> ValueID {
        let (first, last) = (try rounded(start, scale, in: &node), try rounded(end, scale, in: &node))
        let extent = try node.builder.unary(.affine(scale: 1, offset: 1), try node.builder.subtract(last, first))
        let width = try node.builder.divide(
            try node.builder.binary(.max, extent, node.scalar(1)), node.scalar(Float(count)))
        func edge(_ shift: Int, _ rounding: UnaryFunction) throws(GraphError) -> ValueID {
            let numbers = (0..<count).map { Float($0 + shift) }
            let product = try node.builder.multiply(width, node.constant(Constant(numbers, shape: [1, count, 1])))
            return try node.builder.add(first, try node.builder.unary(rounding, product))
        }
        let places = node.constant(Constant((0..<size).map(Float.init), shape: [1, 1, size]))
        return try node.builder.logical(
            .and, try node.builder.compare(.greaterOrEqual, places, try edge(0, .floor)),
            try node.builder.compare(.less, places, try edge(1, .ceil)))
    }

    /// scale x to the nearest integer, halves away from zero.
    private static func rounded(_ x: ValueID, _ scale: Float, in node: inout Expansion) throws(GraphError) -> ValueID {
        let scaled = try node.builder.unary(.affine(scale: scale, offset: 0), x)
        let magnitude = try node.builder.unary(
            .floor, try node.builder.unary(.affine(scale: 1, offset: 0.5), try node.builder.unary(.abs, scaled)))
        return try node.builder.multiply(try node.builder.unary(.sign, scaled), magnitude)
    }
}
