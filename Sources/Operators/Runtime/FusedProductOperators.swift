import Kernels
import TensorGraph

/// Products and convolutions that ONNX Runtime's optimiser joins with what stands around them (domain `com.microsoft`).
enum FusedProductOperators {
    static let all: [any OperatorPlugin] = [
        StandardOperator("FusedMatMul", since: 1, domain: "com.microsoft", expand: fusedMatMul),
        StandardOperator("TransposeMatMul", since: 1, domain: "com.microsoft", expand: fusedMatMul),
        StandardOperator("FusedGemm", since: 1, domain: "com.microsoft") { node throws(GraphError) in
            let product = try MatrixOperators.gemm(&node)[0]
            let parameters = [try node.float("activation_alpha"), try node.float("activation_beta")].compactMap(\.self)
            return [try activated(product, parameters, in: &node)]
        },
        StandardOperator("FusedConv", since: 1, domain: "com.microsoft") { node throws(GraphError) in
            var result = try ConvolutionOperators.convolution(&node)[0]
            if let addend = node.optionalInput(3) { result = try node.builder.add(result, addend) }
            var parameters: [Float] = []
            if case .floats(let values)? = node.node.attributes["activation_params"] { parameters = values }
            return [try activated(result, parameters, in: &node)]
        },
    ]

    /// alpha * A' B', where an operand may be stored with its last two axes exchanged (`transA`), or with its rows in
    /// front of the leading axes (`transBatchA`).
    @Sendable
    private static func fusedMatMul(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        var operands = [try node.input(0), try node.input(1)]
        for (index, name) in ["A", "B"].enumerated() {
            let rank = node.shape(operands[index]).count
            guard rank >= 2 else { throw .unsupported("an operand \(node.type(operands[index])) of rank less than 2") }
            guard try node.flag("transBatch\(name)") else { continue }
            operands[index] = try node.builder.transpose(
                operands[index], Array(1..<rank - 1) + [0, rank - 1])
        }
        let product = try node.builder.matmul(
            operands[0], operands[1], transposingLeft: try node.flag("transA"),
            transposingRight: try node.flag("transB"))
        let alpha = try node.float("alpha", default: 1)
        return [alpha == 1 ? product : try node.builder.unary(.affine(scale: alpha, offset: 0), product)]
    }

    /// The attribute `activation` as a function; its parameters have the defaults of ONNX's operators of that name.
    private static func activated(_ x: ValueID, _ parameters: [Float], in node: inout Expansion) throws(GraphError)
        -> ValueID
    {
        func parameter(_ index: Int, default value: Float) -> Float {
            index < parameters.count ? parameters[index] : value
        }
        let function: UnaryFunction
        switch try node.string("activation") ?? "" {
        case "": return x
        case "Relu": function = .relu
        case "Sigmoid": function = .sigmoid
        case "Tanh": function = .tanh
        case "HardSwish": function = .hardSwish
        case "LeakyRelu": function = .leakyRelu(alpha: parameter(0, default: 0.01))
        case "Clip": function = .clip(low: parameter(0, default: -.infinity), high: parameter(1, default: .infinity))
        case "HardSigmoid":
            function = .hardSigmoid(alpha: parameter(0, default: 0.2), beta: parameter(1, default: 0.5))
        case let name: throw .unsupported("activation '\(name)' is not implemented")
        }
        return try node.builder.unary(function, x)
    }
}
