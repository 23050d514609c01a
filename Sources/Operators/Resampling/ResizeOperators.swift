import Kernels
import ONNXFormat
import TensorGraph

/// ONNX `Resize` and its predecessor `Upsample`: one axis after the other.
enum ResizeOperators {
    /// Entries of a resized axis, for each of which its sources are listed.
    private static let longestAxis = 1 << 24

    static let all: [any OperatorPlugin] =
        [11, 13, 18, 19].map { StandardOperator("Resize", since: $0, structuralInputs: [1, 2, 3], expand: resize) }
        + [
            StandardOperator("Resize", since: 10, structuralInputs: [1]) { node throws(GraphError) in
                try upsample(&node, scales: try scales(node, input: 1))
            },
            StandardOperator("Upsample", since: 7) { node throws(GraphError) in
                guard case .floats(let scales)? = node.node.attributes["scales"] else {
                    throw .invalid("attribute 'scales' is missing")
                }
                return try upsample(&node, scales: scales.map(Double.init))
            },
        ]
        + [9, 10].map { version in
            StandardOperator("Upsample", since: version, structuralInputs: [1]) { node throws(GraphError) in
                try upsample(&node, scales: try scales(node, input: 1))
            }
        }

    @Sendable
    private static func resize(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        let axes = try resizedAxes(node, shape)
        let interpolation: Interpolation
        switch try node.string("mode") ?? "nearest" {
        case "nearest":
            let name = try node.string("nearest_mode") ?? "round_prefer_floor"
            guard let rounding = Interpolation.NearestRounding(rawValue: name) else {
                throw .invalid("nearest_mode '\(name)' does not exist")
            }
            interpolation = .nearest(rounding)
        case "linear": interpolation = .linear
        case "cubic": interpolation = .cubic(a: Double(try node.float("cubic_coeff_a", default: -0.75)))
        case let mode: throw .invalid("mode '\(mode)' is none of nearest, linear and cubic")
        }
        return [
            try resized(
                x, axes, interpolation, antialiases: try node.flag("antialias"),
                excludesOutside: try node.flag("exclude_outside"),
                extrapolation: try node.float("extrapolation_value", default: 0), in: &node)
        ]
    }

    /// Before version 11 positions are y / scale, rounded down for the nearest entry.
    private static func upsample(_ node: inout Expansion, scales: [Double]) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        let interpolation: Interpolation
        switch try node.string("mode") ?? "nearest" {
        case "nearest": interpolation = .nearest(.floor)
        case "linear", "bilinear": interpolation = .linear
        case let mode: throw .invalid("mode '\(mode)' is neither nearest nor linear")
        }
        guard scales.count == shape.count else { throw .invalid("\(scales.count) scales for \(node.type(x))") }
        var axes: [Int: ResizedAxis] = [:]
        for (axis, scale) in scales.enumerated() {
            axes[axis] = try scaled(shape[axis], scale, mode: "asymmetric")
        }
        return [
            try resized(
                x, axes, interpolation, antialiases: false, excludesOutside: false, extrapolation: 0, in: &node)
        ]
    }

    private static func resized(
        _ x: ValueID, _ axes: [Int: ResizedAxis], _ interpolation: Interpolation, antialiases: Bool,
        excludesOutside: Bool, extrapolation: Float, in node: inout Expansion
    ) throws(GraphError) -> ValueID {
        var result = x
        var shape = node.shape(x)
        var outside: ValueID?
        for (axis, resizing) in axes.sorted(by: { $0.key < $1.key }) where !resizing.isUnchanged {
            shape[axis] = resizing.outputSize
            try CheckedSize.check(shape)
            guard resizing.outputSize <= longestAxis else {
                throw .unsupported("axis \(axis) would have \(resizing.outputSize) entries, more than \(longestAxis)")
            }
            guard resizing.inputSize > 0 || resizing.outputSize == 0 else {
                throw .invalid("axis \(axis) has no entries to resize")
            }
            var positions: [Double] = []
            for index in 0..<resizing.outputSize { positions.append(try resizing.position(index)) }
            let rows = positions.map {
                interpolation.taps(
                    at: $0, size: resizing.inputSize, scale: resizing.scale, antialiases: antialiases,
                    excludesOutside: excludesOutside)
            }
            result = try resampled(result, axis: axis, rows, interpolation, in: &node)
            guard resizing.mode == "tf_crop_and_resize" else { continue }
            let isOutside = positions.map { $0 < 0 || $0 > Double(resizing.inputSize - 1) }
            var aligned = shape.map { _ in 1 }
            aligned[axis] = isOutside.count
            let mask = node.constant(Constant(isOutside, shape: aligned))
            outside = try outside.map { other throws(GraphError) in try node.builder.logical(.or, other, mask) } ?? mask
        }
        guard let outside, node.builder.constant(outside)?.int64Values.contains(1) != false else { return result }
        let value =
            node.type(result).elementType == .int64
            ? node.builder.integer(Int64(extrapolation)) : node.scalar(extrapolation)
        return try node.builder.select(outside, value, result)
    }

    /// Single entries are moved whatever their type; weighted sums are floats.
    private static func resampled(
        _ x: ValueID, axis: Int, _ rows: [[(column: Int, weight: Float)]], _ interpolation: Interpolation,
        in node: inout Expansion
    ) throws(GraphError) -> ValueID {
        if case .nearest = interpolation {
            let indices = node.constant(Constant(rows.map { Int64($0[0].column) }))
            return try node.emit(Gathering(axis: axis), x, indices)
        }
        let map = SparseRows(columns: node.shape(x)[axis], rows: rows)
        guard node.type(x).elementType == .int64 else { return try node.emit(AxisResampling(axis: axis, map), x) }
        let floats = try node.emit(AxisResampling(axis: axis, map), try node.builder.convert(x, to: .float32))
        return try node.builder.convert(floats, to: try node.elementType(ofInput: 0))
    }

    // MARK: Sizes

    private static func scales(_ node: Expansion, input index: Int) throws(GraphError) -> [Double] {
        guard let constant = node.builder.constant(try node.input(index)) else {
            throw .unsupported("its scales (input \(index)) are computed from data; they must be known beforehand")
        }
        return constant.floatValues.map(Double.init)
    }

    /// floor(size * scale) entries.
    private static func scaled(_ size: Int, _ scale: Double, mode: String) throws(GraphError) -> ResizedAxis {
        let output = (Double(size) * scale).rounded(.down)
        guard scale > 0, let output = Int(exactly: output) else { throw .invalid("\(scale) is no scale of an axis") }
        return ResizedAxis(mode: mode, inputSize: size, outputSize: output, scale: scale)
    }

    private static func resizedAxes(_ node: Expansion, _ shape: [Int]) throws(GraphError) -> [Int: ResizedAxis] {
        let mode = try node.string("coordinate_transformation_mode") ?? "half_pixel"
        var axes = Array(shape.indices)
        if let named = try node.ints("axes") {
            axes = []
            for axis in named { axes.append(try normalizedAxis(axis, rank: shape.count)) }
        }
        var result: [Int: ResizedAxis] = [:]
        if let sizes = try node.constantInts(3, "sizes"), !sizes.isEmpty {
            guard sizes.count == axes.count else { throw .invalid("\(sizes.count) sizes for \(axes.count) axes") }
            let ratios = zip(axes, sizes).map { Double($1) / Double(shape[$0]) }
            let common: Double?
            switch try node.string("keep_aspect_ratio_policy") ?? "stretch" {
            case "stretch": common = nil
            case "not_larger": common = ratios.min()
            case "not_smaller": common = ratios.max()
            case let policy: throw .invalid("keep_aspect_ratio_policy '\(policy)' does not exist")
            }
            for (index, axis) in axes.enumerated() {
                let size = common.map { Int(($0 * Double(shape[axis]) + 0.5).rounded(.down)) } ?? sizes[index]
                result[axis] = ResizedAxis(
                    mode: mode, inputSize: shape[axis], outputSize: size, scale: common ?? ratios[index])
            }
        } else {
            guard node.optionalInput(2) != nil else { throw .invalid("neither scales nor sizes are given") }
            let scales = try scales(node, input: 2)
            guard scales.count == axes.count else { throw .invalid("\(scales.count) scales for \(axes.count) axes") }
            for (axis, scale) in zip(axes, scales) { result[axis] = try scaled(shape[axis], scale, mode: mode) }
        }
        guard mode == "tf_crop_and_resize" else { return result }
        guard let region = node.optionalInput(1), let values = node.builder.constant(region)?.floatValues,
            values.count == 2 * axes.count
        else { throw .unsupported("its roi (input 1) must be known beforehand: start and end of every axis") }
        for (index, axis) in axes.enumerated() {
            result[axis]!.region = (Double(values[index]), Double(values[axes.count + index]))
        }
        return result
    }
}
