import Kernels
import TensorGraph

extension Expansion {
    /// The activation functions of one direction (ONNX `activations`, `activation_alpha`, `activation_beta`, `clip`).
    ///
    /// - Parameters:
    ///   - defaults: what the operator uses where none are named; their number is the operator's per direction.
    ///   - direction: 0 or 1.
    func recurrentActivations(_ defaults: [UnaryFunction], direction: Int, of directions: Int) throws(GraphError)
        -> [RecurrentActivation]
    {
        let clip = try float("clip")
        let named = try strings("activations") ?? []
        if named.isEmpty { return defaults.map { RecurrentActivation($0, clip: clip) } }
        guard named.count == defaults.count * directions else {
            throw .invalid(
                "\(named.count) activations are named; \(defaults.count) are needed for each of \(directions) directions"
            )
        }
        // Parameters are taken from the lists in order, by those functions that have them.
        var alphas = ArraySlice(try floats("activation_alpha") ?? [])
        var betas = ArraySlice(try floats("activation_beta") ?? [])
        var result: [RecurrentActivation] = []
        for name in named {
            result.append(try RecurrentActivation(onnx: name, alphas: &alphas, betas: &betas, clip: clip))
        }
        return Array(result[(direction * defaults.count)...].prefix(defaults.count))
    }
}

extension RecurrentActivation {
    /// The function that ONNX means by `name`, in any case, with parameters taken off the lists or ONNX's defaults.
    fileprivate init(
        onnx name: String, alphas: inout ArraySlice<Float>, betas: inout ArraySlice<Float>, clip: Float?
    ) throws(GraphError) {
        func alpha(_ value: Float) -> Float { alphas.popFirst() ?? value }
        func beta(_ value: Float) -> Float { betas.popFirst() ?? value }
        switch name.lowercased() {
        case "sigmoid": self.init(.sigmoid, clip: clip)
        case "tanh": self.init(.tanh, clip: clip)
        case "relu": self.init(.relu, clip: clip)
        case "softsign": self.init(.softsign, clip: clip)
        case "softplus": self.init(.softplus, clip: clip)
        case "affine": self.init(.affine(scale: alpha(1), offset: beta(0)), clip: clip)
        case "leakyrelu": self.init(.leakyRelu(alpha: alpha(0.01)), clip: clip)
        case "thresholdedrelu": self.init(.thresholdedRelu(alpha: alpha(1)), clip: clip)
        case "elu": self.init(.elu(alpha: alpha(1)), clip: clip)
        case "hardsigmoid": self.init(.hardSigmoid(alpha: alpha(0.2), beta: beta(0.5)), clip: clip)
        case "scaledtanh":
            let scale = alpha(1)
            self.init(.tanh, inputScale: beta(1), outputScale: scale, clip: clip)
        default: throw .unsupported("activation function '\(name)' of a recurrent cell is not known")
        }
    }
}
