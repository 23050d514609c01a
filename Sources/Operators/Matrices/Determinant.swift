import Kernels
public import TensorGraph

/// Determinants of the matrices on the last two axes (ONNX Det), by elimination with row exchanges in double precision.
public struct Determinant: ExecutableOperation {
    public init() {}

    public var description: String { "determinant" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let shape = inputs[0].shape
        guard inputs[0].elementType == .float32, shape.count >= 2, shape[shape.count - 1] == shape[shape.count - 2]
        else {
            throw .invalid("\(inputs[0]) holds no square matrices")
        }
        return [inputs[0].with(shape: Array(shape.dropLast(2)))]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        let rank = inputs[0].type.rank
        return [try BatchRules.reduce(inputs[0], axes: [rank - 2, rank - 1], keepingAxes: false)]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        let cofactors = try builder.emit(Cofactors(), node.inputs[0])
        let aligned = try builder.view(gradient, builder.shape(of: gradient) + [1, 1])
        return try builder.multiply(cofactors, aligned)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (count, n) = (outputs[0].count, inputs[0].shape.last!)
        return Kernel(operationCount: Double(count * n * n * n)) { arguments in
            let (x, out) = (arguments.input(0, as: Float.self), arguments.output(0, as: Float.self))
            for index in 0..<count {
                let matrix = UnsafeBufferPointer(start: x + index * n * n, count: n * n)
                out[index] = Float(determinant(matrix.map(Double.init), n))
            }
        }
    }
}

/// The slope of a determinant in every entry: the signed determinant without its row and column. Defined for singular
/// matrices too, where the inverse is not.
public struct Cofactors: BackwardOperation {
    public init() {}

    public var description: String { "cofactors" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        _ = try Determinant().outputTypes(for: inputs)
        return inputs
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let n = inputs[0].shape.last!
        let entries = inputs[0].count
        return Kernel(operationCount: Double(entries * n * n * n)) { arguments in
            let (x, out) = (arguments.input(0, as: Float.self), arguments.output(0, as: Float.self))
            arguments.pool.forRanges(entries, grain: 16) { range, _ in
                for entry in range {
                    let matrix = x + entry / (n * n) * n * n
                    let (row, column) = (entry % (n * n) / n, entry % n)
                    let minor = (0..<n * n).filter { $0 / n != row && $0 % n != column }.map { Double(matrix[$0]) }
                    out[entry] = Float(((row + column) % 2 == 0 ? 1 : -1) * determinant(minor, n - 1))
                }
            }
        }
    }
}

/// Of an n x n matrix in row-major order; 1 for n = 0.
private func determinant(_ elements: [Double], _ n: Int) -> Double {
    var a = elements
    var result = 1.0
    for step in 0..<n {
        let pivot = (step..<n).max { a[$0 * n + step].magnitude < a[$1 * n + step].magnitude }!
        if pivot != step {
            for column in 0..<n { a.swapAt(step * n + column, pivot * n + column) }
            result = -result
        }
        let divisor = a[step * n + step]
        result *= divisor
        if divisor == 0 { return 0 }
        for row in step + 1..<max(n, step + 1) {
            let factor = a[row * n + step] / divisor
            for column in step..<n { a[row * n + column] -= factor * a[step * n + column] }
        }
    }
    return result
}
