import Kernels
public import TensorGraph

/// ||G_i||^2 of instantiated per-sample gradients: [B, ...] -> [B], float64.
public struct SquaredNorms: BackwardOperation {
    public init() {}

    public var description: String { "squared norms" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .float32, inputs[0].rank >= 1 else {
            throw .invalid("\(inputs[0]) holds no per-sample gradients")
        }
        return [TensorType(.float64, [inputs[0].shape[0]])]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let batch = inputs[0].shape[0]
        let count = inputs[0].shape.dropFirst().elementCount
        return Kernel(operationCount: 2 * Double(inputs[0].count)) { arguments in
            let norms = arguments.output(0, as: Double.self)
            norms.update(repeating: 0, count: batch)
            squaredNorms(perSample: arguments.input(0), batch: batch, n: count, into: norms, pool: arguments.pool)
        }
    }
}

/// sum_i c_i G_i: factors [B] and gradients [B, n...] -> [n...]. A sample whose factor is zero is not read.
public struct WeightedSum: BackwardOperation, AccumulatingOperation {
    public init() {}

    public var description: String { "weighted sum" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs.allSatisfy({ $0.elementType == .float32 }), inputs[0].rank == 1, inputs[1].rank >= 1,
            inputs[0].shape[0] == inputs[1].shape[0]
        else { throw .invalid("the factors \(inputs[0]) do not fit the per-sample gradients \(inputs[1])") }
        return [inputs[1].with(shape: Array(inputs[1].shape.dropFirst()))]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let batch = inputs[0].count
        let count = outputs[0].count
        return Kernel(operationCount: 2 * Double(inputs[1].count)) { arguments in
            weightedSum(
                perSample: arguments.input(1), factors: arguments.input(0), batch: batch, n: count,
                into: arguments.output(0), accumulate: arguments.accumulates, pool: arguments.pool)
        }
    }
}
