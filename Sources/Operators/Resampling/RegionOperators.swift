import Kernels
import ONNXFormat
import TensorGraph

/// ONNX `RoiAlign` (He et al. 2017): regions of interest, each read on a grid of points and pooled to one size.
enum RegionOperators {
    static let all: [any OperatorPlugin] = [10, 16, 22].map { version in
        StandardOperator("RoiAlign", since: version, structuralInputs: [2]) { node throws(GraphError) in
            [try regionAlign(&node)]
        }
    }

    private struct Pooling {
        var height: Int
        var width: Int
        var scale: Float
        var isHalfPixel: Bool
        var takesMaximum: Bool
    }

    private static func regionAlign(_ node: inout Expansion) throws(GraphError) -> ValueID {
        let (x, regions, images) = (try node.input(0), try node.input(1), try node.input(2))
        let (shape, count) = (node.shape(x), node.shape(regions).first ?? 0)
        guard shape.count == 4, node.shape(regions) == [count, 4], node.shape(images) == [count] else {
            throw .invalid("\(node.type(regions)) and \(node.type(images)) are no regions of \(node.type(x))")
        }
        let mode = try node.string("coordinate_transformation_mode")
        let pooling = Pooling(
            height: try node.int("output_height", default: 1), width: try node.int("output_width", default: 1),
            scale: try node.float("spatial_scale", default: 1),
            isHalfPixel: (mode ?? (node.version < 16 ? "output_half_pixel" : "half_pixel")) == "half_pixel",
            takesMaximum: try node.string("mode") == "max")
        guard pooling.height > 0, pooling.width > 0 else { throw .invalid("its output has no entries") }
        let ratio = try node.int("sampling_ratio", default: 0)
        guard ratio == 0 else {
            return try pooled(x, regions, images, pooling, points: (ratio, ratio), in: &node)
        }
        guard let bounds = node.builder.constant(regions)?.floatValues else {
            throw .unsupported(
                "sampling_ratio 0 takes as many points as a region is large, and its regions are computed from data; "
                    + "export it with a sampling_ratio")
        }
        var parts: [ValueID] = []
        for index in 0..<count {
            func points(_ low: Int, _ bins: Int) -> Int {
                var size = (bounds[4 * index + low + 2] - bounds[4 * index + low]) * pooling.scale
                if !pooling.isHalfPixel { size = max(size, 1) }
                return max(1, Int((size / Float(bins)).rounded(.up)))
            }
            parts.append(
                try pooled(
                    x, try node.builder.slice(regions, axis: 0, index..<index + 1),
                    try node.builder.slice(images, axis: 0, index..<index + 1), pooling,
                    points: (points(1, pooling.height), points(0, pooling.width)), in: &node))
        }
        if parts.isEmpty { return try pooled(x, regions, images, pooling, points: (1, 1), in: &node) }
        return try node.builder.concatenate(parts, axis: 0)
    }

    /// - Parameter points: rows and columns of points in each bin.
    private static func pooled(
        _ x: ValueID, _ regions: ValueID, _ images: ValueID, _ pooling: Pooling, points: (Int, Int),
        in node: inout Expansion
    ) throws(GraphError) -> ValueID {
        let (shape, count) = (node.shape(x), node.shape(regions)[0])
        let rows = pooling.height * points.0
        let columns = pooling.width * points.1
        let vertical = try taps(regions, 1, size: shape[2], count: rows, pooling, in: &node)
        let horizontal = try taps(regions, 0, size: shape[3], count: columns, pooling, in: &node)
        func aligned(_ taps: [PointSampling.Tap], _ shape: [Int], _ builder: inout GraphBuilder) throws(GraphError)
            -> [PointSampling.Tap]
        {
            var result: [PointSampling.Tap] = []
            for tap in taps {
                let weight = try tap.weight.map { weight throws(GraphError) in try builder.view(weight, shape) }
                result.append(PointSampling.Tap(index: try builder.view(tap.index, shape), weight: weight))
            }
            return result
        }
        let corners = try PointSampling.corners(
            [
                try aligned(vertical, [count, rows, 1], &node.builder),
                try aligned(horizontal, [count, 1, columns], &node.builder),
            ], [shape[2], shape[3]], in: &node.builder)
        let places = try node.channelsLast(x)
        let image = try node.builder.broadcast(
            try node.builder.view(images, [count, 1, 1, 1]), to: [count, rows, columns, 1])
        var values: [ValueID] = []
        for corner in corners {
            let place = try node.builder.view(corner.index, [count, rows, columns, 1])
            let tuples = try node.builder.concatenate([image, place], axis: 3)
            let weight = try node.builder.view(corner.weight!, [count, rows, columns, 1])
            values.append(try node.builder.multiply(try node.emit(TupleGathering(), places, tuples), weight))
        }
        var combined = values[0]
        for value in values.dropFirst() {
            combined = try node.builder.binary(pooling.takesMaximum ? .max : .add, combined, value)
        }
        let bins = try node.builder.view(
            combined, [count, pooling.height, points.0, pooling.width, points.1, shape[1]])
        let result = try node.emit(
            Reduction(pooling.takesMaximum ? .max : .mean, axes: [2, 4], keepsAxes: false), bins)
        return try node.builder.transpose(result, [0, 3, 1, 2])
    }

    /// Taps [R, count] of points spread evenly over the regions' extent on one axis. What lies more than one entry
    /// beyond the image reads as zero.
    private static func taps(
        _ regions: ValueID, _ coordinate: Int, size: Int, count: Int, _ pooling: Pooling, in node: inout Expansion
    ) throws(GraphError) -> [PointSampling.Tap] {
        let offset: Float = pooling.isHalfPixel ? -0.5 : 0
        func bound(_ index: Int, _ builder: inout GraphBuilder) throws(GraphError) -> ValueID {
            let column = try builder.slice(regions, axis: 1, index..<index + 1)
            return try builder.unary(.affine(scale: pooling.scale, offset: offset), column)
        }
        let start = try bound(coordinate, &node.builder)
        var length = try node.builder.subtract(try bound(coordinate + 2, &node.builder), start)
        if !pooling.isHalfPixel { length = try node.builder.binary(.max, length, node.scalar(1)) }
        let steps = node.constant(Constant((0..<count).map { (Float($0) + 0.5) / Float(count) }, shape: [1, count]))
        let position = try node.builder.add(start, try node.builder.multiply(length, steps))
        let isVisible = try node.builder.logical(
            .and, try node.builder.compare(.greaterOrEqual, position, node.scalar(-1)),
            try node.builder.compare(.lessOrEqual, position, node.scalar(Float(size))))
        var taps = try PointSampling.linear(position, size: size, .nearest, in: &node.builder)
        for index in taps.indices {
            taps[index].weight = try node.builder.select(isVisible, taps[index].weight!, node.scalar(0))
        }
        return taps
    }
}
