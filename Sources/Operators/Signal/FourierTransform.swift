import Kernels
public import TensorGraph

/// The discrete Fourier transform of complex numbers, not normalised: [.., n, 2] to [.., n, 2], the last axis holding
/// real and imaginary part; y_k = sum_j x_j exp(-+ 2 pi i j k / n).
public struct FourierTransform: ExecutableOperation {
    /// Whether the exponent is positive, as in the inverse transform.
    public let isConjugate: Bool

    public init(isConjugate: Bool) { self.isConjugate = isConjugate }

    public var description: String { isConjugate ? "conjugate Fourier transform" : "Fourier transform" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let shape = inputs[0].shape
        guard inputs[0].elementType == .float32, shape.count >= 2, shape.last == 2 else {
            throw .invalid("\(inputs[0]) does not end in real and imaginary parts")
        }
        return inputs
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        let rank = inputs[0].type.rank
        return [try BatchRules.along([rank - 2, rank - 1], inputs[0], "transforms")]
    }

    /// As a real matrix on pairs, the transpose of the transform is the conjugate one.
    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        return try builder.emit(FourierTransform(isConjugate: !isConjugate), gradient)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let length = inputs[0].shape[inputs[0].rank - 2]
        let rows = inputs[0].count / max(1, 2 * length)
        guard rows > 0 else { return Kernel { _ in } }
        let plan = FourierPlan(length: length)
        let perWorker = 2 * length + plan.scratchCount
        // The conjugate transform exchanges the parts of what goes in and what comes out.
        let (real, imaginary) = isConjugate ? (1, 0) : (0, 1)
        let depth = max(1, Int.bitWidth - length.leadingZeroBitCount)
        return Kernel(
            scratchBytes: threads * perWorker * MemoryLayout<FourierPlan.Complex>.stride,
            operationCount: Double(rows * length * depth) * 5
        ) { arguments in
            let (x, out) = (arguments.input(0, as: Float.self), arguments.output(0, as: Float.self))
            let scratch = arguments.scratch.bindMemory(to: FourierPlan.Complex.self, capacity: threads * perWorker)
            arguments.pool.forRanges(rows, grain: max(1, 8192 / length)) { range, worker in
                let before = scratch + worker * perWorker
                let after = before + length
                for row in range {
                    let (source, target) = (x + row * 2 * length, out + row * 2 * length)
                    for j in 0..<length {
                        before[j] = [Double(source[2 * j + real]), Double(source[2 * j + imaginary])]
                    }
                    plan.transform(before, to: after, scratch: after + length)
                    for k in 0..<length {
                        target[2 * k + real] = Float(after[k].x)
                        target[2 * k + imaginary] = Float(after[k].y)
                    }
                }
            }
        }
    }
}
