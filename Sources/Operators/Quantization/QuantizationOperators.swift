import Kernels
import ONNXFormat
import TensorGraph

/// ONNX's linear quantisation: integers q that stand for (q - zero point) * scale.
///
/// Rounding has a slope of zero wherever it has one, so nothing in front of a quantisation can be trained; that is
/// refused rather than left untrained. What follows a dequantisation trains as usual.
enum QuantizationOperators {
    static let all: [any OperatorPlugin] =
        [10, 13, 19, 21, 23, 24, 25, 28].flatMap { version in
            [
                StandardOperator("QuantizeLinear", since: version) { node throws(GraphError) in
                    [try quantizeLinear(&node)]
                },
                StandardOperator("DequantizeLinear", since: version) { node throws(GraphError) in
                    [try dequantizeLinear(&node)]
                },
            ]
        }
        + [StandardOperator("DynamicQuantizeLinear", since: 11, expand: dynamicQuantizeLinear)]
        // ONNX Runtime's own, for types that the model's operator set does not have.
        + [
            StandardOperator("QuantizeLinear", since: 1, domain: "com.microsoft") { node throws(GraphError) in
                [try quantizeLinear(&node)]
            },
            StandardOperator("DequantizeLinear", since: 1, domain: "com.microsoft") { node throws(GraphError) in
                [try dequantizeLinear(&node)]
            },
        ]

    // MARK: Operators

    private static func quantizeLinear(_ node: inout Expansion) throws(GraphError) -> ValueID {
        let (x, scale) = (try node.input(0), try node.input(1))
        let axis = try node.int("axis", default: 1)
        let named = try node.elementType("output_dtype")
        let type = node.optionalInput(2) == nil ? named ?? .uint8 : try node.elementType(ofInput: 2)
        node.outputElementTypes[0] = type
        let floats = try node.builder.convert(x, to: .float32)
        let aligned = try self.aligned(scale, to: x, axis: axis, in: &node)
        let zeroPoint = try node.optionalInput(2).map { zero throws(GraphError) in
            try self.aligned(zero, to: x, axis: axis, in: &node)
        }
        var quotient = try node.builder.divide(floats, aligned)
        let scaleType = try node.elementType(ofInput: 1)
        if scaleType == .float16 || scaleType == .bfloat16 {
            quotient = try node.builder.convert(quotient, to: scaleType)
        }
        if type.storage == .float32 {
            // A float has its own rounding, and its zero point is 0.
            try refuseParameters(behind: quotient, in: node)
            let conversion = Convert(to: type, saturates: try node.flag("saturate", default: true))
            return try node.builder.convert(quotient, by: conversion)
        }
        return try quantized(quotient, zeroPoint: zeroPoint, type: type, in: &node)
    }

    private static func dequantizeLinear(_ node: inout Expansion) throws(GraphError) -> ValueID {
        let (x, scale) = (try node.input(0), try node.input(1))
        let axis = try node.int("axis", default: 1)
        var type = try node.elementType(ofInput: 1)
        if let named = try node.elementType("output_dtype") { type = named }
        node.outputElementTypes[0] = type
        var levels = x
        if let zero = node.optionalInput(2) {
            levels = try node.builder.subtract(x, try aligned(zero, to: x, axis: axis, in: &node))
        }
        let floats = try node.builder.convert(levels, to: .float32)
        let result = try node.builder.multiply(floats, try aligned(scale, to: x, axis: axis, in: &node))
        return try node.builder.convert(result, to: type)
    }

    /// To uint8, over the range of all elements and zero.
    @Sendable
    private static func dynamicQuantizeLinear(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let parts = try dynamicallyQuantized(try node.input(0), in: &node)
        (node.outputElementTypes[0], node.outputElementTypes[2]) = (.uint8, .uint8)
        return [parts.levels, parts.scale, parts.zeroPoint]
    }

    static func dynamicallyQuantized(_ x: ValueID, in node: inout Expansion) throws(GraphError) -> (
        levels: ValueID, scale: ValueID, zeroPoint: ValueID
    ) {
        let axes = Array(node.shape(x).indices)
        func bound(_ function: ReductionFunction, _ clip: UnaryFunction, _ node: inout Expansion) throws(GraphError)
            -> ValueID
        {
            try node.builder.unary(clip, try node.emit(Reduction(function, axes: axes, keepsAxes: false), x))
        }
        let greatest = try bound(.max, .clip(low: 0, high: .infinity), &node)
        let least = try bound(.min, .clip(low: -.infinity, high: 0), &node)
        let range = try node.builder.subtract(greatest, least)
        let scale = try node.builder.divide(range, node.scalar(255))
        let offset = try node.builder.unary(.neg, try node.builder.divide(least, scale))
        let zeroPoint = try quantized(offset, zeroPoint: nil, type: .uint8, in: &node)
        let quotient = try node.builder.divide(x, scale)
        return (try quantized(quotient, zeroPoint: zeroPoint, type: .uint8, in: &node), scale, zeroPoint)
    }

    // MARK: Pieces

    /// Rounded to the nearest integer, halves to even, moved by the zero point and brought into the type's range.
    static func quantized(
        _ quotient: ValueID, zeroPoint: ValueID?, type: ONNXElementType, in node: inout Expansion
    ) throws(GraphError) -> ValueID {
        try refuseParameters(behind: quotient, in: node)
        guard let range = type.integerRange else {
            throw .unsupported("quantisation to \(type) is not implemented")
        }
        var levels = try node.builder.convert(try node.builder.unary(.round, quotient), to: .int64)
        if let zeroPoint { levels = try node.builder.add(levels, zeroPoint) }
        levels = try node.builder.binary(.max, levels, node.builder.integer(range.lowerBound))
        return try node.builder.binary(.min, levels, node.builder.integer(range.upperBound))
    }

    private static func refuseParameters(behind value: ValueID, in node: Expansion) throws(GraphError) {
        guard node.builder.graph[value].dependsOnParameter else { return }
        throw .unsupported(
            "it rounds what depends on a trainable parameter, and rounding has no gradient; train the model before it is "
                + "quantised, or freeze the parameters in front by --frozen")
    }

    /// A scale or zero point as an operand of x: one for all, one per entry of an axis, or one per block of an axis.
    static func aligned(_ value: ValueID, to x: ValueID, axis: Int, in node: inout Expansion) throws(GraphError)
        -> ValueID
    {
        let (shape, own) = (node.shape(x), node.shape(value))
        if own.elementCount == 1, own.count <= 1 { return try node.builder.view(value, []) }
        let axis = try normalizedAxis(axis, rank: shape.count)
        if own.count == 1 {
            guard own[0] == shape[axis] else {
                throw .invalid("\(own[0]) scales for an axis of \(shape[axis]) entries")
            }
            return try node.builder.view(value, own + shape[(axis + 1)...].map { _ in 1 })
        }
        guard own.count == shape.count, own[axis] > 0 else { throw .invalid("scales \(own) do not fit \(shape)") }
        let named = try node.int("block_size", default: 0)
        let size = named > 0 ? named : (shape[axis] + own[axis] - 1) / own[axis]
        let blocks = (0..<shape[axis]).map { Int64($0 / size) }
        try checkConstantIndices(blocks.map(Int.init), size: own[axis])
        return try node.emit(Gathering(axis: axis), value, node.constant(Constant(blocks)))
    }
}

extension ONNXElementType {
    /// The integers of a narrow integer type.
    var integerRange: ClosedRange<Int64>? {
        guard let width = bitWidth, width <= 32 else { return nil }
        switch self {
        case .uint2, .uint4, .uint8, .uint16, .uint32: return 0...(1 << Int64(width)) - 1
        case .int2, .int4, .int8, .int16, .int32: return -(1 << Int64(width - 1))...(1 << Int64(width - 1)) - 1
        default: return nil
        }
    }
}
