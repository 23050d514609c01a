import CVectorKernels

/// A function of one float. Where ONNX and PyTorch disagree on nothing, names and parameters are ONNX's.
public enum UnaryFunction: Hashable, Sendable {
    case neg, abs, reciprocal, exp, log, sqrt, rsqrt, square
    case relu
    case leakyRelu(alpha: Float)
    case elu(alpha: Float)
    /// gamma * (x > 0 ? x : alpha * (exp(x) - 1))
    case selu(alpha: Float, gamma: Float)
    case celu(alpha: Float)
    case sigmoid, tanh, softplus, softsign
    /// x * max(0, min(1, x / 6 + 1/2))
    case hardSwish
    /// max(0, min(1, alpha * x + beta))
    case hardSigmoid(alpha: Float, beta: Float)
    /// x * Phi(x), Phi by erf
    case gelu
    /// The tanh approximation of `gelu`
    case geluTanh
    case erf
    /// x * sigmoid(x)
    case silu
    /// x * tanh(softplus(x))
    case mish
    case thresholdedRelu(alpha: Float)
    case sin, cos, tan, asin, acos, atan
    case sinh, cosh, asinh, acosh, atanh
    case sign, floor, ceil
    /// To the nearest integer, halves to even.
    case round
    /// max(low, min(high, x)); the derivative is 0 on the bounds themselves, as in PyTorch (clamp, ReLU6).
    case clip(low: Float, high: Float)
    /// scale * x + offset
    case affine(scale: Float, offset: Float)

    /// Whether the derivative can be had from f(x) alone: `Elementwise.derivativeFromOutput`.
    public var hasDerivativeFromOutput: Bool {
        switch self {
        case .exp, .sqrt, .reciprocal, .rsqrt, .sigmoid, .tanh, .relu: true
        default: false
        }
    }
}

extension UnaryFunction {
    /// The function and its parameters as the C kernels take them.
    struct Code {
        let operation: Int32
        let a: Float
        let b: Float

        init(_ operation: Int, _ a: Float = 0, _ b: Float = 0) {
            self.operation = Int32(operation)
            self.a = a
            self.b = b
        }
    }

    var code: Code {
        switch self {
        case .neg: Code(VK_NEG)
        case .abs: Code(VK_ABS)
        case .reciprocal: Code(VK_RECIPROCAL)
        case .exp: Code(VK_EXP)
        case .log: Code(VK_LOG)
        case .sqrt: Code(VK_SQRT)
        case .rsqrt: Code(VK_RSQRT)
        case .square: Code(VK_SQUARE)
        case .relu: Code(VK_RELU)
        case .leakyRelu(let alpha): Code(VK_LEAKY_RELU, alpha)
        case .elu(let alpha): Code(VK_ELU, alpha)
        case .selu(let alpha, let gamma): Code(VK_SELU, alpha, gamma)
        case .celu(let alpha): Code(VK_CELU, alpha)
        case .sigmoid: Code(VK_SIGMOID)
        case .tanh: Code(VK_TANH)
        case .softplus: Code(VK_SOFTPLUS)
        case .softsign: Code(VK_SOFTSIGN)
        case .hardSwish: Code(VK_HARD_SWISH)
        case .hardSigmoid(let alpha, let beta): Code(VK_HARD_SIGMOID, alpha, beta)
        case .gelu: Code(VK_GELU)
        case .geluTanh: Code(VK_GELU_TANH)
        case .erf: Code(VK_ERF)
        case .silu: Code(VK_SILU)
        case .mish: Code(VK_MISH)
        case .thresholdedRelu(let alpha): Code(VK_THRESHOLDED_RELU, alpha)
        case .sin: Code(VK_SIN)
        case .cos: Code(VK_COS)
        case .tan: Code(VK_TAN)
        case .asin: Code(VK_ASIN)
        case .acos: Code(VK_ACOS)
        case .atan: Code(VK_ATAN)
        case .sinh: Code(VK_SINH)
        case .cosh: Code(VK_COSH)
        case .asinh: Code(VK_ASINH)
        case .acosh: Code(VK_ACOSH)
        case .atanh: Code(VK_ATANH)
        case .sign: Code(VK_SIGN)
        case .floor: Code(VK_FLOOR)
        case .ceil: Code(VK_CEIL)
        case .round: Code(VK_ROUND)
        case .clip(let low, let high): Code(VK_CLIP, low, high)
        case .affine(let scale, let offset): Code(VK_AFFINE, scale, offset)
        }
    }
}
