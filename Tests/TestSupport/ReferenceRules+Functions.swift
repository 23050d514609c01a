import Glibc
import Kernels
import Operators

/// The definitions of the elementwise functions, as ONNX and PyTorch write them.
func binaryDefinition(_ operation: Binary) -> (Double, Double) -> Double {
    switch operation.function {
    case .add: { $0 + $1 }
    case .sub: { $0 - $1 }
    case .mul: { $0 * $1 }
    case .div: { $0 / $1 }
    case .pow: { pow($0, $1) }
    case .max: { max($0, $1) }
    case .min: { min($0, $1) }
    case .mod: { $0 - $1 * floor($0 / $1) }
    case .fmod: { fmod($0, $1) }
    case .prelu: { $0 > 0 ? $0 : $0 * $1 }
    }
}

func comparison(_ function: ComparisonFunction, _ a: Double, _ b: Double) -> Bool {
    switch function {
    case .equal: a == b
    case .less: a < b
    case .lessOrEqual: a <= b
    case .greater: a > b
    case .greaterOrEqual: a >= b
    }
}

func logical(_ function: LogicalFunction, _ a: Bool, _ b: Bool) -> Bool {
    switch function {
    case .and: a && b
    case .or: a || b
    case .xor: a != b
    }
}

func unaryDefinition(_ operation: Unary) -> (Double) -> Double {
    switch operation.function {
    case .leakyRelu, .elu, .selu, .celu, .hardSigmoid, .thresholdedRelu, .clip, .affine:
        parametricDefinition(operation.function)
    case .neg: { -$0 }
    case .abs: { $0.magnitude }
    case .reciprocal: { 1 / $0 }
    case .exp: { exp($0) }
    case .log: { log($0) }
    case .sqrt: { $0.squareRoot() }
    case .rsqrt: { 1 / $0.squareRoot() }
    case .square: { $0 * $0 }
    case .relu: { max(0, $0) }
    case .sigmoid: { sigmoid($0) }
    case .tanh: { tanh($0) }
    case .softplus: { softplus($0) }
    case .softsign: { $0 / (1 + $0.magnitude) }
    case .hardSwish: { $0 * max(0, min(1, $0 / 6 + 0.5)) }
    case .gelu: { $0 * 0.5 * erfc(-$0 / 2.squareRoot()) }
    case .geluTanh: { $0 * sigmoid(2 * (2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)) }
    case .erf: { erf($0) }
    case .silu: { $0 * sigmoid($0) }
    case .mish: { $0 * tanh(softplus($0)) }
    case .sin: { sin($0) }
    case .cos: { cos($0) }
    case .tan: { tan($0) }
    case .asin: { asin($0) }
    case .acos: { acos($0) }
    case .atan: { atan($0) }
    case .sinh: { sinh($0) }
    case .cosh: { cosh($0) }
    case .asinh: { asinh($0) }
    case .acosh: { acosh($0) }
    case .atanh: { atanh($0) }
    case .sign: { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 }
    case .floor: { floor($0) }
    case .ceil: { ceil($0) }
    case .round: { $0.rounded(.toNearestOrEven) }
    }
}

private func parametricDefinition(_ function: UnaryFunction) -> (Double) -> Double {
    switch function {
    case .leakyRelu(let alpha): { $0 > 0 ? $0 : Double(alpha) * $0 }
    case .elu(let alpha): { $0 > 0 ? $0 : Double(alpha) * expm1($0) }
    case .selu(let alpha, let gamma): { Double(gamma) * ($0 > 0 ? $0 : Double(alpha) * expm1($0)) }
    case .celu(let alpha): { $0 > 0 ? $0 : Double(alpha) * expm1($0 / Double(alpha)) }
    case .hardSigmoid(let alpha, let beta): { max(0, min(1, Double(alpha) * $0 + Double(beta))) }
    case .thresholdedRelu(let alpha): { $0 > Double(alpha) ? $0 : 0 }
    case .clip(let low, let high): { max(Double(low), min(Double(high), $0)) }
    case .affine(let scale, let offset): { Double(scale) * $0 + Double(offset) }
    default: preconditionFailure("\(function) has no parameters")
    }
}

private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

private func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-x.magnitude)) }
