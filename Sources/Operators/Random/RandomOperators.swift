import ONNXFormat
import TensorGraph

/// ONNX's random numbers. Like noise that a model was trained with, they are drawn for each sample by itself, and no
/// gradient flows through what is drawn.
enum RandomOperators {
    static let all: [any OperatorPlugin] =
        ["RandomNormal", "RandomUniform"].flatMap { type in
            [1, 22].flatMap { version in
                [
                    StandardOperator(type, since: version) { node throws(GraphError) in
                        guard let shape = try node.ints("shape") else { throw .invalid("attribute 'shape' is missing") }
                        try CheckedSize.check(shape)
                        return [try drawn(&node, try distribution(type, node), shape, like: nil)]
                    },
                    StandardOperator("\(type)Like", since: version) { node throws(GraphError) in
                        let x = try node.input(0)
                        return [try drawn(&node, try distribution(type, node), node.shape(x), like: x)]
                    },
                ]
            }
        }
        + [15, 22].map { version in
            StandardOperator("Bernoulli", since: version) { node throws(GraphError) in
                let x = try node.input(0)
                return [try drawn(&node, .bernoulli, node.shape(x), like: x)]
            }
        }
        + [7, 22].map { version in
            StandardOperator("Multinomial", since: version) { node throws(GraphError) in
                let x = try node.input(0)
                let count = try node.int("sample_size", default: 1)
                guard node.shape(x).count == 2, count > 0 else {
                    throw .invalid("\(count) draws from \(node.type(x)), which must be [batch, classes]")
                }
                node.outputElementTypes[0] = try node.elementType("dtype") ?? .int32
                return [
                    try node.emit(operation(node, .classes(count: count), [node.shape(x)[0], count]), x)
                ]
            }
        }

    private static func distribution(_ type: String, _ node: Expansion) throws(GraphError) -> RandomValues.Distribution
    {
        if type == "RandomNormal" {
            let scale = try node.float("scale", default: 1)
            guard scale >= 0, scale.isFinite else { throw .invalid("attribute 'scale' = \(scale)") }
            return .normal(mean: try node.float("mean", default: 0), scale: scale)
        }
        return .uniform(low: try node.float("low", default: 0), high: try node.float("high", default: 1))
    }

    private static func operation(_ node: Expansion, _ distribution: RandomValues.Distribution, _ shape: [Int])
        throws(GraphError) -> RandomValues
    {
        RandomValues(
            distribution, shape: shape, seed: try node.float("seed").map { UInt64($0.bitPattern) },
            node: node.node.origin.description)
    }

    private static func drawn(
        _ node: inout Expansion, _ distribution: RandomValues.Distribution, _ shape: [Int], like x: ValueID?
    ) throws(GraphError) -> ValueID {
        let operation = try operation(node, distribution, shape)
        var type = ONNXElementType.float32
        let values: ValueID
        if let x {
            values = try node.emit(operation, x)
            type = try node.elementType(ofInput: 0)
        } else {
            values = try node.emit(operation)
        }
        if let named = try node.elementType("dtype") { type = named }
        node.outputElementTypes[0] = type
        return try node.builder.convert(values, to: type)
    }
}
