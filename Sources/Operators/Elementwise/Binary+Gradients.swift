import Kernels
public import TensorGraph

extension Binary {
    /// Gradient with respect to operand `index` before it is summed over the axes along which the operand was
    /// broadcast: it has the output's shape. Nil if none flows. Kinks and singular points follow PyTorch.
    public func elementGradient(_ index: Int, of node: Node, _ gradient: ValueID, in builder: inout GraphBuilder)
        throws(GraphError) -> ValueID?
    {
        guard builder.type(of: node.output).elementType == .float32 else { return nil }
        let (a, b) = (node.inputs[0], node.inputs[1])
        switch function {
        case .add: return gradient
        case .sub: return index == 0 ? gradient : try builder.unary(.neg, gradient)
        case .mul: return try builder.multiply(gradient, index == 0 ? b : a)
        case .div:
            if index == 0 { return try builder.divide(gradient, b) }
            let slope = try builder.divide(node.output, b)
            return try builder.unary(.neg, try builder.multiply(gradient, slope))
        case .pow:
            return index == 0
                ? try baseGradient(a, b, gradient, in: &builder)
                : try exponentGradient(a, b, node.output, gradient, in: &builder)
        case .min: return try extremeGradient(index, a, b, losing: .greater, gradient, in: &builder)
        case .max: return try extremeGradient(index, a, b, losing: .less, gradient, in: &builder)
        case .mod:
            // a mod b = a - b floor(a / b), and the floor is constant almost everywhere.
            if index == 0 { return gradient }
            let quotient = try builder.unary(.floor, try builder.divide(a, b))
            return try builder.unary(.neg, try builder.multiply(gradient, quotient))
        case .fmod:
            if index == 0 { return gradient }
            let quotient = try builder.divide(a, b)
            let truncated = try builder.multiply(
                try builder.unary(.sign, quotient), try builder.unary(.floor, try builder.unary(.abs, quotient)))
            return try builder.unary(.neg, try builder.multiply(gradient, truncated))
        case .prelu:
            let isPositive = try builder.compare(.greater, a, builder.scalar(0))
            if index == 0 { return try builder.select(isPositive, gradient, try builder.multiply(gradient, b)) }
            return try builder.select(isPositive, builder.scalar(0), try builder.multiply(gradient, a))
        }
    }

    /// g b a^(b - 1), which is 0 where b = 0 whatever a is.
    private func baseGradient(_ a: ValueID, _ b: ValueID, _ gradient: ValueID, in builder: inout GraphBuilder)
        throws(GraphError) -> ValueID?
    {
        if let exponents = builder.constant(b)?.floatValues {
            if exponents.count == 1 {
                let exponent = exponents[0]
                if exponent == 0 { return nil }
                // A base of lower rank, or one element, takes the output's shape from the gradient.
                if exponent == 1 { return gradient }
                let scaled = try builder.unary(.affine(scale: exponent, offset: 0), gradient)
                let power =
                    exponent == 2 ? a : try builder.binary(.pow, a, builder.scalar(exponent - 1))
                return try builder.multiply(scaled, power)
            }
        }
        let power = try builder.binary(.pow, a, try builder.unary(.affine(scale: 1, offset: -1), b))
        let slope = try builder.multiply(gradient, try builder.multiply(b, power))
        let isFlat = try builder.compare(.equal, b, builder.scalar(0))
        return try builder.select(isFlat, builder.scalar(0), slope)
    }

    /// g a^b log a, which is 0 where a = 0 and b >= 0.
    private func exponentGradient(
        _ a: ValueID, _ b: ValueID, _ power: ValueID, _ gradient: ValueID, in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID {
        let slope = try builder.multiply(gradient, try builder.multiply(power, try builder.unary(.log, a)))
        let isFlat = try builder.logical(
            .and, try builder.compare(.equal, a, builder.scalar(0)),
            try builder.compare(.greaterOrEqual, b, builder.scalar(0)))
        return try builder.select(isFlat, builder.scalar(0), slope)
    }

    /// All of the gradient for the operand that wins, half of it for each where they are equal.
    private func extremeGradient(
        _ index: Int, _ a: ValueID, _ b: ValueID, losing: ComparisonFunction, _ gradient: ValueID,
        in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID {
        let (own, other) = index == 0 ? (a, b) : (b, a)
        let half = try builder.unary(.affine(scale: 0.5, offset: 0), gradient)
        let won = try builder.select(try builder.compare(losing, own, other), builder.scalar(0), gradient)
        return try builder.select(try builder.compare(.equal, a, b), half, won)
    }
}
