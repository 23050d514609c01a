import Kernels
public import TensorGraph

/// A site whose per-sample gradients are instantiated: every G_i lies in memory.
public struct PerSampleSite: Site {
    /// [B] + `gradientShape`, float32.
    public let gradients: ValueID
    public let gradientShape: [Int]
    public let ruleName: String

    public init(gradients: ValueID, shape: [Int], rule: String) {
        self.gradients = gradients
        gradientShape = shape
        ruleName = rule
    }

    public var cost: SiteCost {
        let elements = Double(gradientShape.elementCount)
        return SiteCost(ghost: nil, instantiate: elements, elements: elements)
    }

    public func perSampleGradients(in builder: inout GraphBuilder) throws(GraphError) -> ValueID { gradients }

    public func contraction(factors: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        try builder.emit(PerSampleContraction(), factors, gradients)
    }
}

/// sum_i c_i G_i from factors c:[B] and G:[B]+shape; a sample whose factor is 0 is not read.
struct PerSampleContraction: ExecutableOperation {
    var description: String { "weighted sum of per-sample gradients" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].rank == 1, inputs[1].shape.first == inputs[0].count else {
            throw .invalid("factors \(inputs[0]) do not fit per-sample gradients \(inputs[1])")
        }
        return [inputs[1].with(shape: Array(inputs[1].shape.dropFirst()))]
    }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] { [nil] }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (samples, count) = (inputs[0].count, outputs[0].count)
        return Kernel(operationCount: 2 * Double(inputs[1].count)) { arguments in
            weightedSum(
                perSample: arguments.input(1), factors: arguments.input(0), B: samples, n: count,
                into: arguments.output(0), accumulate: false, pool: arguments.pool)
        }
    }
}
