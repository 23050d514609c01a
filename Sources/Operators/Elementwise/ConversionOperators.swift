import ONNXFormat
import TensorGraph

/// Operators that leave the numbers as they are, but for their type.
public enum ConversionOperators {
    public static let all: [any OperatorPlugin] = identity + casts

    private static let identity: [any OperatorPlugin] = [1, 13, 14, 16, 19, 21, 23, 24, 25].map { version in
        StandardOperator("Identity", since: version) { node throws(GraphError) in [try node.input(0)] }
    }

    private static let casts: [any OperatorPlugin] =
        [6, 9, 13, 19, 21, 23, 24, 25, 28].map { version in
            StandardOperator("Cast", since: version) { node throws(GraphError) in
                guard let type = try node.elementType("to") else { throw .invalid("attribute 'to' is missing") }
                return [try converted(&node, to: type)]
            }
        }
        + [15, 19, 21, 23, 24, 25].map { version in
            StandardOperator("CastLike", since: version) { node throws(GraphError) in
                [try converted(&node, to: try node.elementType(ofInput: 1))]
            }
        }

    private static func converted(_ node: inout Expansion, to type: ONNXElementType) throws(GraphError) -> ValueID {
        node.outputElementTypes[0] = type
        let rounding: FloatingPointRoundingRule
        switch try node.string("round_mode") ?? "up" {
        case "up": rounding = .up
        case "down": rounding = .down
        case "nearest": rounding = .toNearestOrEven
        case let mode: throw .invalid("round_mode '\(mode)' is none of up, down and nearest")
        }
        let conversion = Convert(
            to: type, saturates: try node.flag("saturate", default: true), scaleRounding: rounding)
        return try node.builder.convert(try node.input(0), by: conversion)
    }
}
