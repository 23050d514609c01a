import Kernels
import TensorGraph

/// ONNX `GridSample` and `AffineGrid` (spatial transformers, Jaderberg et al. 2015).
enum GridOperators {
    static let all: [any OperatorPlugin] =
        [16, 20, 22].map { StandardOperator("GridSample", since: $0, expand: gridSample) }
        + [StandardOperator("AffineGrid", since: 20, structuralInputs: [1], expand: affineGrid)]

    /// x [N, C, spatial...] at the points of a grid [N, out..., rank], whose coordinates run from -1 to 1 and name the
    /// last axis first.
    @Sendable
    private static func gridSample(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (x, grid) = (try node.input(0), try node.input(1))
        let (shape, gridShape) = (node.shape(x), node.shape(grid))
        let rank = shape.count - 2
        guard rank >= 1, gridShape.count == shape.count, gridShape.last == rank, gridShape[0] == shape[0],
            shape[2...].elementCount > 0
        else { throw .invalid("a grid of shape \(gridShape) has no points of an input of shape \(shape)") }
        let isAligned = try node.flag("align_corners")
        let border: PointSampling.Border
        switch try node.string("padding_mode") ?? "zeros" {
        case "zeros": border = .zeros
        case "border": border = .nearest
        case "reflection": border = .reflected(atEntries: isAligned)
        case let mode: throw .invalid("padding_mode '\(mode)' is none of zeros, border and reflection")
        }
        let mode = try node.string("mode") ?? "linear"
        let points = gridShape[1...rank].elementCount
        let flat = try node.builder.view(grid, [shape[0], points, rank])
        var taps: [[PointSampling.Tap]] = []
        for axis in 0..<rank {
            let size = shape[axis + 2]
            let coordinate = rank - 1 - axis
            let own = try node.builder.view(
                try node.builder.slice(flat, axis: 2, coordinate..<coordinate + 1), [shape[0], points])
            // -1 and 1 are the centres of the first and last entries, or the borders around them.
            let half = Float(size - 1) / 2
            let position = try node.builder.unary(
                .affine(scale: isAligned ? half : Float(size) / 2, offset: half), own)
            switch mode {
            case "linear", "bilinear":
                taps.append(try PointSampling.linear(position, size: size, border, in: &node.builder))
            case "nearest": taps.append(try PointSampling.nearest(position, size: size, border, in: &node.builder))
            case "cubic", "bicubic":
                taps.append(try PointSampling.cubic(position, size: size, border, in: &node.builder))
            default: throw .invalid("mode '\(mode)' is none of linear, nearest and cubic")
            }
        }
        let sampled = try PointSampling.sample(
            try node.channelsLast(x), taps: taps, sizes: Array(shape[2...]), in: &node.builder)
        let channelsFirst = try node.builder.transpose(sampled, [0, 2, 1])
        return [try node.builder.view(channelsFirst, Array(shape[..<2]) + gridShape[1...rank])]
    }

    /// Every point of an image times the matrix [N, rank, rank + 1] of its sample.
    @Sendable
    private static func affineGrid(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let theta = try node.input(0)
        let shape = node.shape(theta)
        guard let size = try node.constantInts(1, "size"), (3...).contains(size.count), size.allSatisfy({ $0 > 0 }),
            shape == [size[0], size.count - 2, size.count - 1]
        else { throw .invalid("\(node.type(theta)) and size do not fit") }
        let spatial = Array(size[2...])
        try CheckedSize.checkConstant(spatial + [spatial.count + 1])
        let isAligned = try node.flag("align_corners")
        var points: [Float] = []
        for place in 0..<spatial.elementCount {
            for (axis, stride) in zip(spatial.indices, spatial.rowMajorStrides).reversed() {
                let (entry, entries) = (Float(place / stride % spatial[axis]), Float(spatial[axis]))
                if isAligned {
                    points.append(entries == 1 ? 0 : 2 * entry / (entries - 1) - 1)
                } else {
                    points.append((2 * entry + 1) / entries - 1)
                }
            }
            points.append(1)
        }
        let base = node.constant(Constant(points, shape: [spatial.elementCount, spatial.count + 1]))
        let grid = try node.builder.matmul(base, theta, transposingRight: true)
        return [try node.builder.view(grid, [size[0]] + spatial + [spatial.count])]
    }
}

extension Expansion {
    /// [N, C, spatial...] as [N, places, C].
    mutating func channelsLast(_ x: ValueID) throws(GraphError) -> ValueID {
        let shape = shape(x)
        let planes = try builder.view(x, [shape[0], shape[1], shape[2...].elementCount])
        return try builder.transpose(planes, [0, 2, 1])
    }
}
