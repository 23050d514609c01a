import Glibc
import Kernels
import Operators
import TensorGraph

/// Turns squared norms into clip factors.
///
/// Inputs: C [1] float64, sample weights [B] (1, or 0 for padding), losses [B], then squared norms [B] float64, group by
/// group.
/// Outputs: the whole gradient's norms [B], then one [B] of factors per group.
///
/// A sample of weight zero, or whose loss or any norm is not finite, gets factor zero in every group, which leaves it
/// out of every contraction.
struct ClipFactors: ExecutableOperation {
    let function: ClippingFunction
    /// Number of norm inputs of each group.
    let normsPerGroup: [Int]
    /// Thresholds of the groups in units of C.
    let shares: [Double]
    /// A group's norm counts as at least this share of the whole gradient's.
    let smallestShare: Double

    var description: String { "clip factors (\(function.name), shares of C \(shares))" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs.count == 3 + normsPerGroup.reduce(0, +), inputs[0] == TensorType(.float64, [1]),
            inputs[1] == inputs[2],
            inputs.dropFirst(3).allSatisfy({ $0.elementType == .float64 && $0.shape == inputs[1].shape })
        else { throw .invalid("clip factors need C, weights, losses and squared norms of one batch") }
        return Array(repeating: inputs[1], count: 1 + normsPerGroup.count)
    }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        outputs.map { _ in inputs[2].factor }
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let batchSize = inputs[1].count
        let norms = inputs.count - 3
        return Kernel { arguments in
            let clippingNorm = arguments.input(0, as: Double.self)[0]
            let weights = arguments.input(1, as: Float.self)
            let losses = arguments.input(2, as: Float.self)
            let totals = arguments.output(0, as: Float.self)
            for sample in 0..<batchSize {
                var isFinite = losses[sample].isFinite
                var total = 0.0
                for index in 0..<norms {
                    let square = arguments.input(3 + index, as: Double.self)[sample]
                    isFinite = isFinite && square.isFinite
                    total += square
                }
                totals[sample] = Float(total.squareRoot())
                var index = 3
                for (group, count) in normsPerGroup.enumerated() {
                    var square = 0.0
                    for _ in 0..<count {
                        square += arguments.input(index, as: Double.self)[sample]
                        index += 1
                    }
                    arguments.output(1 + group, as: Float.self)[sample] =
                        isFinite && weights[sample] != 0
                        ? weights[sample]
                            * function.factor(
                                norm: max(square, smallestShare * smallestShare * total).squareRoot(),
                                clippingNorm: shares[group] * clippingNorm) : 0
                }
            }
        }
    }
}

/// 1 where a factor is not zero, else 0: which samples take part in a contraction of already weighted gradients.
struct TakesPart: ExecutableOperation {
    var description: String { "takes part" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] { inputs }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [inputs[0].factor]
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let count = inputs[0].count
        return Kernel { arguments in
            let factors = arguments.input(0, as: Float.self)
            let result = arguments.output(0, as: Float.self)
            for sample in 0..<count { result[sample] = factors[sample] == 0 ? 0 : 1 }
        }
    }
}

/// n^2 of a parameter with several sites: their squared norms, and inner products between them with coefficient 2; all
/// [B], float64.
///
/// Gradients of two sites may cancel, but the terms come from single-precision products. A share of the square of the
/// norms' sum, many times their rounding, is added, so that a cancelled sum is no shorter than the gradient.
struct NormSum: ExecutableOperation {
    /// 1 for a squared norm, 2 for an inner product.
    let coefficients: [Double]

    private static let rounding = 0x1p-20

    var description: String { "norm sum" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] { [inputs[0]] }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [inputs[0].factor]
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let count = inputs[0].count
        return Kernel { arguments in
            let result = arguments.output(0, as: Double.self)
            for sample in 0..<count {
                var sum = 0.0
                var norms = 0.0
                for (index, coefficient) in coefficients.enumerated() {
                    let term = arguments.input(index, as: Double.self)[sample]
                    sum += coefficient * term
                    if coefficient == 1 { norms += term.squareRoot() }
                }
                result[sample] = (sum < 0 ? 0 : sum) + Self.rounding * norms * norms
            }
        }
    }
}
