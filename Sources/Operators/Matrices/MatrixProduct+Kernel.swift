import Kernels
public import TensorGraph

extension MatrixProduct: ExecutableOperation {
    /// One GEMM where the leading axes of the left operand are no more than further rows of it; one per matrix of the
    /// output otherwise.
    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let shape = outputs[0].shape
        let (m, n) = (shape[shape.count - 2], shape[shape.count - 1])
        let k = inputs[0].shape[inputs[0].rank - (transposesLeft ? 2 : 1)]
        let matrices = shape.dropLast(2).elementCount
        let isShared = inputs[1].shape.dropLast(2).elementCount == 1
        let (left, right) = (transposesLeft, transposesRight)
        let work = 2 * Double(outputs[0].count) * Double(k)
        if isShared, matrices == 1 || !left {
            let rows = matrices * m
            return Kernel(operationCount: work) { arguments in
                gemm(
                    transposeA: left, transposeB: right, m: rows, n: n, k: k, a: arguments.input(0),
                    lda: left ? m : k, b: arguments.input(1), ldb: right ? k : n, c: arguments.output(0), ldc: n,
                    pool: arguments.pool)
            }
        }
        let leading = Array(shape.dropLast(2))
        let offsetsA = Self.offsets(Array(inputs[0].shape.dropLast(2)), in: leading, size: m * k)
        let offsetsB = Self.offsets(Array(inputs[1].shape.dropLast(2)), in: leading, size: k * n)
        let offsetsC = (0..<matrices).map { $0 * m * n }
        return Kernel(operationCount: work) { arguments in
            batchedGemm(
                transposeA: left, transposeB: right, m: m, n: n, k: k, a: arguments.input(0), lda: left ? m : k,
                offsetsA: offsetsA, b: arguments.input(1), ldb: right ? k : n, offsetsB: offsetsB,
                c: arguments.output(0), ldc: n, offsetsC: offsetsC, pool: arguments.pool)
        }
    }

    /// Where the matrices of an operand with leading axes `operand` begin, for each matrix of a product with leading
    /// axes `leading`.
    private static func offsets(_ operand: [Int], in leading: [Int], size: Int) -> [Int] {
        let padded = operand.leftPadded(toRank: leading.count)
        let strides = padded.rowMajorStrides
        var result = leading.contains(0) ? [] : [0]
        for axis in leading.indices {
            let step = padded[axis] == 1 ? 0 : strides[axis] * size
            result = result.flatMap { start in (0..<leading[axis]).map { start + $0 * step } }
        }
        return result
    }
}
