import Kernels
import ONNXFormat
import TensorGraph

/// Arithmetic on floats and integers.
public enum ArithmeticOperators {
    public static let all: [any OperatorPlugin] = binary + variadic + signs + clip + bitwise

    private static let binary: [any OperatorPlugin] =
        [
            ("Add", .add), ("Sub", .sub), ("Mul", .mul), ("Div", .div),
        ].flatMap { (type: String, function: BinaryFunction) in
            [7, 13, 14].map { version in
                StandardOperator(type, since: version) { node throws(GraphError) in
                    [try node.builder.binary(function, try node.input(0), try node.input(1))]
                }
            }
        }
        + [7, 12, 13, 15].map { version in StandardOperator("Pow", since: version, expand: power) }
        + [10, 13, 28].map { version in
            StandardOperator("Mod", since: version) { node throws(GraphError) in
                let function: BinaryFunction = try node.flag("fmod") ? .fmod : .mod
                return [try node.builder.binary(function, try node.input(0), try node.input(1))]
            }
        }

    /// Base and exponent may differ in type; the result has the base's.
    private static let power: @Sendable (inout Expansion) throws(GraphError) -> [ValueID] = { node throws(GraphError) in
        let (base, exponent) = (try node.input(0), try node.input(1))
        let (baseType, exponentType) = (node.type(base).elementType, node.type(exponent).elementType)
        if baseType == exponentType { return [try node.builder.binary(.pow, base, exponent)] }
        let floatExponent = try node.builder.convert(exponent, to: .float32)
        return [
            try inFloat(&node, base) { base, builder throws(GraphError) in
                try builder.binary(.pow, base, floatExponent)
            }
        ]
    }

    private static let variadic: [any OperatorPlugin] =
        [("Min", .min), ("Max", .max)].flatMap { (type: String, function: BinaryFunction) in
            [6, 8, 12, 13].map { version in
                StandardOperator(type, since: version) { node throws(GraphError) in [try folded(&node, function)] }
            }
        }
        + [6, 8, 13].flatMap { version in
            [
                StandardOperator("Sum", since: version) { node throws(GraphError) in [try folded(&node, .add)] },
                StandardOperator("Mean", since: version) { node throws(GraphError) in
                    let total = try folded(&node, .add)
                    return [try node.builder.unary(.affine(scale: 1 / Float(node.inputs.count), offset: 0), total)]
                },
            ]
        }

    /// The node's inputs combined from the first to the last.
    private static func folded(_ node: inout Expansion, _ function: BinaryFunction) throws(GraphError) -> ValueID {
        var result = try node.input(0)
        for index in node.inputs.indices.dropFirst() {
            result = try node.builder.binary(function, result, try node.input(index))
        }
        return result
    }

    /// Functions that integers have as well, there made of the binary ones.
    private static let signs: [any OperatorPlugin] =
        signed("Neg", since: [6, 13], .neg) { x, builder throws(GraphError) in
            try builder.subtract(builder.integer(0), x)
        }
        + signed("Abs", since: [6, 13], .abs) { x, builder throws(GraphError) in
            try builder.binary(.max, x, try builder.subtract(builder.integer(0), x))
        }
        + signed("Relu", since: [6, 13, 14], .relu) { x, builder throws(GraphError) in
            try builder.binary(.max, x, builder.integer(0))
        }
        + signed("Sign", since: [9, 13], .sign) { x, builder throws(GraphError) in
            let atLeast = try builder.binary(.max, x, builder.integer(-1))
            return try builder.binary(.min, atLeast, builder.integer(1))
        }

    private static func signed(
        _ type: String, since versions: [Int], _ function: UnaryFunction,
        ofIntegers body: @escaping @Sendable (ValueID, inout GraphBuilder) throws(GraphError) -> ValueID
    ) -> [any OperatorPlugin] {
        versions.map { version in
            StandardOperator(type, since: version) { node throws(GraphError) in
                let x = try node.input(0)
                if node.type(x).elementType == .int64 { return [try body(x, &node.builder)] }
                return [try node.builder.unary(function, x)]
            }
        }
    }

    /// Bounds are attributes up to version 6 and inputs from 11.
    private static let clip: [any OperatorPlugin] =
        [
            StandardOperator("Clip", since: 6) { node throws(GraphError) in
                let low = try node.float("min", default: -.greatestFiniteMagnitude)
                let high = try node.float("max", default: .greatestFiniteMagnitude)
                let x = try node.input(0)
                return [try node.builder.unary(.clip(low: min(low, high), high: high), x)]
            }
        ]
        + [11, 12, 13].map { version in
            StandardOperator("Clip", since: version) { node throws(GraphError) in
                let (x, low, high) = (try node.input(0), node.optionalInput(1), node.optionalInput(2))
                return [try clipped(x, low, high, in: &node.builder)]
            }
        }

    /// min(high, max(low, x)) with the gradient of the open interval: 0 on the bounds themselves, as in PyTorch.
    private static func clipped(_ x: ValueID, _ low: ValueID?, _ high: ValueID?, in builder: inout GraphBuilder)
        throws(GraphError) -> ValueID
    {
        for bound in [low, high].compactMap(\.self) where builder.type(of: bound).count != 1 {
            throw .invalid("a bound must be one number, not \(builder.type(of: bound))")
        }
        let bounds = [low, high].map { $0.map { builder.constant($0) } }
        if builder.type(of: x).elementType == .float32, bounds.allSatisfy({ $0 == nil || $0! != nil }) {
            if low == nil, high == nil { return x }
            let low = bounds[0].flatMap { $0?.floatValues[0] } ?? -.infinity
            let high = bounds[1].flatMap { $0?.floatValues[0] } ?? .infinity
            return try builder.unary(.clip(low: min(low, high), high: high), x)
        }
        var result = x
        if let low {
            let bound = try builder.view(low, [])
            result = try builder.select(try builder.compare(.lessOrEqual, result, bound), bound, result)
        }
        if let high {
            let bound = try builder.view(high, [])
            result = try builder.select(try builder.compare(.greaterOrEqual, result, bound), bound, result)
        }
        return result
    }

    private static let bitwise: [any OperatorPlugin] = [
        ("BitwiseAnd", .and), ("BitwiseOr", .or), ("BitwiseXor", .xor),
    ].map { (type: String, function: LogicalFunction) in
        StandardOperator(type, since: 18) { node throws(GraphError) in
            [try node.emit(Bitwise(.logical(function)), try node.input(0), try node.input(1))]
        }
    }
}

extension GraphBuilder {
    /// An integer constant of shape [].
    mutating func integer(_ value: Int64) -> ValueID { addConstant(Constant([value], shape: [])) }
}
