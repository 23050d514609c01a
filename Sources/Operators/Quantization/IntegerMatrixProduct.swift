import Kernels
public import TensorGraph

/// Matrix product of integers over the last two axes; leading axes broadcast. Exact, modulo 2^64, and forward only.
public struct IntegerMatrixProduct: ExecutableOperation {
    public init() {}

    public var description: String { "integer matmul" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs.allSatisfy({ $0.elementType == .int64 }) else {
            throw .invalid("\(inputs[0]) and \(inputs[1]) are no integer matrices")
        }
        let floats = inputs.map { TensorType(.float32, $0.shape) }
        return [TensorType(.int64, try MatrixProduct().outputTypes(for: floats)[0].shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        try MatrixProduct().batchFactors(inputs, outputs: outputs)
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? { nil }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let shape = outputs[0].shape
        let (m, n) = (shape[shape.count - 2], shape[shape.count - 1])
        let k = inputs[0].shape.last!
        let lead = Array(shape.dropLast(2))
        let steps = inputs.map { input in
            let padded = Array(input.shape.dropLast(2)).leftPadded(toRank: lead.count)
            return zip(padded, padded.rowMajorStrides).map { $0 == 1 ? 0 : $1 * input.shape.suffix(2).elementCount }
        }
        let work = 2 * Double(shape.elementCount) * Double(k)
        return Kernel(operationCount: work) { arguments in
            let (a, b) = (arguments.input(0, as: Int64.self), arguments.input(1, as: Int64.self))
            let out = arguments.output(0, as: Int64.self)
            arguments.pool.forRanges(lead.elementCount * m, grain: max(1, 4096 / max(1, n * k))) { range, _ in
                for task in range {
                    var (rest, left, right) = (task / m, 0, 0)
                    for axis in lead.indices.reversed() {
                        left += rest % lead[axis] * steps[0][axis]
                        right += rest % lead[axis] * steps[1][axis]
                        rest /= lead[axis]
                    }
                    let row = out + task * n
                    row.update(repeating: 0, count: n)
                    for inner in 0..<k {
                        let factor = a[left + task % m * k + inner]
                        let source = b + right + inner * n
                        for column in 0..<n { row[column] &+= factor &* source[column] }
                    }
                }
            }
        }
    }
}
