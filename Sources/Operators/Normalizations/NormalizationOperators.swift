import Kernels
import TensorGraph

/// ONNX's normalisations. Scale and bias are ordinary broadcast operands of a multiplication and an addition.
enum NormalizationOperators {
    static let all: [any OperatorPlugin] =
        [
            // Version 1 is what ONNX Runtime's optimiser writes into models of older opsets.
            StandardOperator("LayerNormalization", since: 1, expand: layerNormalization),
            StandardOperator("LayerNormalization", since: 17, expand: layerNormalization),
            StandardOperator("RMSNormalization", since: 23, expand: rmsNormalization),
            StandardOperator("GroupNormalization", since: 18) { node throws(GraphError) in
                try groupNormalization(&node, scalesGroups: true)
            },
            StandardOperator("GroupNormalization", since: 21) { node throws(GraphError) in
                try groupNormalization(&node, scalesGroups: false)
            },
        ]
        + [1, 6, 22].map { StandardOperator("InstanceNormalization", since: $0, expand: instanceNormalization) }
        + [1, 13].map { StandardOperator("LRN", since: $0, expand: localResponseNormalization) }
        + [9, 13].map { StandardOperator("MeanVarianceNormalization", since: $0, expand: meanVarianceNormalization) }
        + [1, 22].map { StandardOperator("LpNormalization", since: $0, expand: lpNormalization) }

    @Sendable
    private static func layerNormalization(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let rank = node.shape(x).count
        let axis = try normalizedAxis(try node.int("axis", default: -1), rank: rank)
        let epsilon = try node.float("epsilon", default: 1e-5)
        let outputs = try node.builder.emitAll(
            RowNormalization(axis: axis, isCentered: true, epsilon: epsilon), [x])
        let result = try node.scaled(outputs[0], by: try node.input(1), adding: node.optionalInput(2))
        guard node.names(output: 1) || node.names(output: 2) else { return [result] }
        let mean = try node.emit(Reduction(.mean, axes: Array(axis..<rank), keepsAxes: true), x)
        return [result, mean, outputs[1]]
    }

    @Sendable
    private static func rmsNormalization(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let axis = try normalizedAxis(try node.int("axis", default: -1), rank: node.shape(x).count)
        let epsilon = try node.float("epsilon", default: 1e-5)
        let outputs = try node.builder.emitAll(
            RowNormalization(axis: axis, isCentered: false, epsilon: epsilon), [x])
        return [try node.scaled(outputs[0], by: try node.input(1), adding: nil)]
    }

    /// - Parameter scalesGroups: opset 18 has one scale and bias per group, opset 21 one per channel.
    private static func groupNormalization(_ node: inout Expansion, scalesGroups: Bool) throws(GraphError) -> [ValueID]
    {
        let (x, scale, bias) = (try node.input(0), try node.input(1), try node.input(2))
        let shape = node.shape(x)
        guard let groups = try node.int("num_groups"), shape.count >= 2, groups > 0, shape[1] % groups == 0 else {
            throw .invalid("attribute 'num_groups' does not divide the channels of an input of shape \(shape)")
        }
        let entries = scalesGroups ? groups : shape[1]
        guard node.shape(scale) == [entries], node.shape(bias) == [entries] else {
            throw .invalid("scale \(node.shape(scale)) and bias \(node.shape(bias)) do not hold \(entries) entries")
        }
        let epsilon = try node.float("epsilon", default: 1e-5)
        let grouped = try node.builder.view(x, [shape[0], groups, shape[1] / groups * shape[2...].elementCount])
        var result = try node.normalized(grouped, fromAxis: 2, epsilon: epsilon)
        if scalesGroups {
            result = try node.scaledChannels(result, by: scale, adding: bias)
            return [try node.builder.view(result, shape)]
        }
        return [try node.scaledChannels(try node.builder.view(result, shape), by: scale, adding: bias)]
    }

    @Sendable
    private static func instanceNormalization(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (x, scale, bias) = (try node.input(0), try node.input(1), try node.input(2))
        let shape = node.shape(x)
        guard shape.count >= 3, node.shape(scale) == [shape[1]], node.shape(bias) == [shape[1]] else {
            throw .invalid(
                "scale \(node.shape(scale)) and bias \(node.shape(bias)) do not fit an input of shape \(shape)")
        }
        let result = try node.normalized(x, fromAxis: 2, epsilon: try node.float("epsilon", default: 1e-5))
        return [try node.scaledChannels(result, by: scale, adding: bias)]
    }

    /// x / (bias + alpha / size * sum of squares over `size` neighbouring channels)^beta: the mean of a window that
    /// slides over the channels, pads counted. What the window has beyond all channels only adds zeros, and is left out.
    @Sendable
    private static func localResponseNormalization(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        guard let size = try node.int("size"), size > 0, shape.count >= 2 else {
            throw .invalid("attribute 'size' is missing or not positive")
        }
        let before = min((size - 1) / 2, max(shape[1] - 1, 0))
        let after = min(size / 2, max(shape[1] - 1, 0))
        let window = before + 1 + after
        let spatial = shape[2...].elementCount
        let geometry = PoolingGeometry(
            kernel: [window, 1], strides: [1, 1], dilations: [1, 1], padsBegin: [before, 0], padsEnd: [after, 0],
            outSpatial: [shape[1], spatial])
        let planes = try node.builder.view(try node.builder.unary(.square, x), [shape[0], 1, shape[1], spatial])
        let mean = try node.emit(AveragePooling(geometry, countsPads: true), planes)
        let (alpha, offset) = (try node.float("alpha", default: 1e-4), try node.float("bias", default: 1))
        let scale = Float(Double(alpha) * Double(window) / Double(size))
        let base = try node.builder.unary(.affine(scale: scale, offset: offset), try node.builder.view(mean, shape))
        let power = try node.builder.binary(.pow, base, node.scalar(-(try node.float("beta", default: 0.75))))
        return [try node.builder.multiply(x, power)]
    }

    /// (x - mean) / (deviation + 1e-9), as the function body in the ONNX spec.
    @Sendable
    private static func meanVarianceNormalization(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let axes = try normalizedAxes(try node.ints("axes") ?? [0, 2, 3], rank: node.shape(x).count)
        let mean = try node.emit(Reduction(.mean, axes: axes, keepsAxes: true), x)
        let centred = try node.builder.subtract(x, mean)
        let variance = try node.emit(
            Reduction(.mean, axes: axes, keepsAxes: true), try node.builder.unary(.square, centred))
        let deviation = try node.builder.unary(.sqrt, variance)
        return [
            try node.builder.divide(centred, try node.builder.unary(.affine(scale: 1, offset: 1e-9), deviation))
        ]
    }

    @Sendable
    private static func lpNormalization(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let axis = try normalizedAxis(try node.int("axis", default: -1), rank: node.shape(x).count)
        let power = try node.int("p", default: 2)
        guard power == 1 || power == 2 else { throw .invalid("attribute 'p' must be 1 or 2, not \(power)") }
        let norm = try node.emit(Reduction(power == 1 ? .l1 : .l2, axes: [axis], keepsAxes: true), x)
        // What is zero everywhere stays zero.
        let isZero = try node.builder.compare(.equal, norm, node.scalar(0))
        return [try node.builder.divide(x, try node.builder.select(isZero, node.scalar(1), norm))]
    }
}

extension Expansion {
    /// Whether the model uses output `index` of the node.
    func names(output index: Int) -> Bool { node.outputs.count > index && !node.outputs[index].isEmpty }

    mutating func normalized(_ x: ValueID, fromAxis axis: Int, epsilon: Float) throws(GraphError) -> ValueID {
        try builder.emitAll(RowNormalization(axis: axis, isCentered: true, epsilon: epsilon), [x])[0]
    }

    /// x * scale + bias; neither may enlarge x.
    mutating func scaled(_ x: ValueID, by scale: ValueID, adding bias: ValueID?) throws(GraphError) -> ValueID {
        for operand in [scale, bias].compactMap({ $0 }) where broadcastedShape([shape(x), shape(operand)]) != shape(x) {
            throw .invalid("a scale or bias of shape \(shape(operand)) does not broadcast to \(shape(x))")
        }
        let product = try builder.multiply(x, scale)
        guard let bias else { return product }
        return try builder.add(product, bias)
    }

    /// x * scale + bias, scale and bias with one entry for each entry of axis 1.
    mutating func scaledChannels(_ x: ValueID, by scale: ValueID, adding bias: ValueID) throws(GraphError) -> ValueID {
        let aligned = [1, shape(x)[1]] + shape(x).dropFirst(2).map { _ in 1 }
        return try scaled(x, by: try builder.view(scale, aligned), adding: try builder.view(bias, aligned))
    }
}
