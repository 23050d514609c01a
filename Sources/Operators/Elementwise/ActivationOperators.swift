import Kernels
import ONNXFormat
import TensorGraph

/// Operators of one float tensor, and of activations with a second one.
public enum ActivationOperators {
    public static let all: [any OperatorPlugin] = plain + parametric + composed

    /// One function without parameters, with the versions in which ONNX changed its types.
    private static let plain: [any OperatorPlugin] = [
        ("Sqrt", .sqrt, [6, 13]), ("Reciprocal", .reciprocal, [6, 13]), ("Exp", .exp, [6, 13]),
        ("Log", .log, [6, 13]), ("Sigmoid", .sigmoid, [6, 13]), ("Tanh", .tanh, [6, 13]),
        ("Softplus", .softplus, [1, 22]), ("Softsign", .softsign, [1, 22]), ("HardSwish", .hardSwish, [14, 22]),
        ("Erf", .erf, [9, 13]), ("Mish", .mish, [18, 22]), ("Sin", .sin, [7, 22]), ("Cos", .cos, [7, 22]),
        ("Tan", .tan, [7, 22]), ("Asin", .asin, [7, 22]), ("Acos", .acos, [7, 22]), ("Atan", .atan, [7, 22]),
        ("Sinh", .sinh, [9, 22]), ("Cosh", .cosh, [9, 22]), ("Asinh", .asinh, [9, 22]), ("Acosh", .acosh, [9, 22]),
        ("Atanh", .atanh, [9, 22]), ("Floor", .floor, [6, 13]), ("Ceil", .ceil, [6, 13]), ("Round", .round, [11, 22]),
    ].flatMap { (type: String, function: UnaryFunction, versions: [Int]) in
        unary(type, since: versions) { _ throws(GraphError) in function }
    }

    /// One function whose parameters are attributes.
    private static let parametric: [any OperatorPlugin] =
        unary("LeakyRelu", since: [6, 16]) { node throws(GraphError) in
            .leakyRelu(alpha: try node.float("alpha", default: 0.01))
        }
        + unary("Elu", since: [6, 22]) { node throws(GraphError) in .elu(alpha: try node.float("alpha", default: 1)) }
        + unary("Celu", since: [12, 28]) { node throws(GraphError) in .celu(alpha: try node.float("alpha", default: 1))
        }
        + unary("Selu", since: [6, 22]) { node throws(GraphError) in
            .selu(
                alpha: try node.float("alpha", default: 1.673_263_2), gamma: try node.float("gamma", default: 1.050_701)
            )
        }
        + unary("HardSigmoid", since: [6, 22]) { node throws(GraphError) in
            .hardSigmoid(alpha: try node.float("alpha", default: 0.2), beta: try node.float("beta", default: 0.5))
        }
        + unary("ThresholdedRelu", since: [10, 22]) { node throws(GraphError) in
            .thresholdedRelu(alpha: try node.float("alpha", default: 1))
        }
        + unary("Gelu", since: [20]) { node throws(GraphError) in
            switch try node.string("approximate") ?? "none" {
            case "none": .gelu
            case "tanh": .geluTanh
            case let other: throw .invalid("approximate '\(other)' is neither 'none' nor 'tanh'")
            }
        }
        + unary("Gelu", since: [1], domain: "com.microsoft") { _ throws(GraphError) in .gelu }

    private static let composed: [any OperatorPlugin] =
        [7, 9, 16].map { version in
            StandardOperator("PRelu", since: version) { node throws(GraphError) in
                let (x, slope) = (try node.input(0), try node.input(1))
                guard broadcastedShape([node.shape(x), node.shape(slope)]) == node.shape(x) else {
                    throw .invalid("slope \(node.type(slope)) does not broadcast to \(node.type(x))")
                }
                return [try node.builder.binary(.prelu, x, slope)]
            }
        }
        + [
            StandardOperator("Swish", since: 24) { node throws(GraphError) in
                [try gated(&node, alpha: try node.float("alpha", default: 1))]
            },
            StandardOperator("SwiGLU", since: 28) { node throws(GraphError) in
                let (gate, value) = (try node.input(0), try node.input(1))
                guard node.type(gate) == node.type(value) else {
                    throw .invalid("a gate \(node.type(gate)) does not fit \(node.type(value))")
                }
                let opened = try gated(&node, alpha: try node.float("alpha", default: 1))
                return [try node.builder.multiply(opened, value)]
            },
            StandardOperator("QuickGelu", since: 1, domain: "com.microsoft") { node throws(GraphError) in
                [try gated(&node, alpha: try node.float("alpha", default: 1.702))]
            },
            StandardOperator("FastGelu", since: 1, domain: "com.microsoft") { node throws(GraphError) in
                var x = try node.input(0)
                if let bias = node.optionalInput(1) { x = try node.builder.add(x, bias) }
                return [try node.builder.unary(.geluTanh, x)]
            },
            StandardOperator("BiasGelu", since: 1, domain: "com.microsoft") { node throws(GraphError) in
                [try node.builder.unary(.gelu, try node.builder.add(try node.input(0), try node.input(1)))]
            },
            StandardOperator("Shrink", since: 9) { node throws(GraphError) in
                let bias = try node.float("bias", default: 0)
                let threshold = try node.float("lambd", default: 0.5)
                return [
                    try inFloat(&node, try node.input(0)) { x, builder throws(GraphError) in
                        let isBelow = try builder.compare(.less, x, builder.scalar(-threshold))
                        let isAbove = try builder.compare(.greater, x, builder.scalar(threshold))
                        let lowered = try builder.unary(.affine(scale: 1, offset: -bias), x)
                        let raised = try builder.unary(.affine(scale: 1, offset: bias), x)
                        return try builder.select(
                            isBelow, raised, try builder.select(isAbove, lowered, builder.scalar(0)))
                    }
                ]
            },
        ]

    private static func unary(
        _ type: String, since versions: [Int], domain: String = "",
        _ function: @escaping @Sendable (Expansion) throws(GraphError) -> UnaryFunction
    ) -> [any OperatorPlugin] {
        versions.map { version in
            StandardOperator(type, since: version, domain: domain) { node throws(GraphError) in
                [try node.builder.unary(try function(node), try node.input(0))]
            }
        }
    }

    /// x sigmoid(alpha x)
    private static func gated(_ node: inout Expansion, alpha: Float) throws(GraphError) -> ValueID {
        let x = try node.input(0)
        if alpha == 1 { return try node.builder.unary(.silu, x) }
        let scaled = try node.builder.unary(.affine(scale: alpha, offset: 0), x)
        return try node.builder.multiply(x, try node.builder.unary(.sigmoid, scaled))
    }
}

/// Computes in float what ONNX also allows for integers, and converts the result back to the input's type.
func inFloat(
    _ node: inout Expansion, _ value: ValueID,
    _ body: (ValueID, inout GraphBuilder) throws(GraphError) -> ValueID
) throws(GraphError) -> ValueID {
    guard node.type(value).elementType == .int64 else { return try body(value, &node.builder) }
    let float = try node.builder.convert(value, to: .float32)
    return try node.builder.convert(try body(float, &node.builder), to: .int64)
}
