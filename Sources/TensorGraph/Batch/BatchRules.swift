/// The batch rules that most operations share. Each returns the factor of the output, or throws where samples meet.
public enum BatchRules {
    /// Broadcasting element by element: all batched operands must hold the samples in the same place of the output.
    public static func elementwise(_ operands: [BatchOperand], outputRank: Int) throws(BatchMixing) -> BatchFactor? {
        var result: BatchFactor?
        var batchedShape: [Int] = []
        for operand in operands {
            guard var factor = operand.factor else { continue }
            let axis = factor.axis
            factor.axis += outputRank - operand.type.rank
            if let result, result != factor {
                throw BatchMixing(
                    axis: axis, "its operands hold the samples on different axes (\(result) and \(factor))")
            }
            result = factor
            batchedShape = operand.type.shape.leftPadded(toRank: outputRank)
        }
        guard let result else { return nil }
        for operand in operands where operand.factor == nil {
            let axis = result.axis - (outputRank - operand.type.rank)
            if axis >= 0, operand.type.shape[axis] != 1, operand.type.shape[axis] != batchedShape[result.axis] {
                throw BatchMixing(axis: axis, "a batch of one sample is repeated along the batch axis")
            }
            guard operand.isUniform(along: result, axis: axis) else {
                throw BatchMixing(axis: axis, "an operand differs by the position of a sample in the batch")
            }
        }
        return result
    }

    /// A change of shape that keeps the order of elements.
    public static func view(_ operand: BatchOperand, to shape: [Int]) throws(BatchMixing) -> BatchFactor? {
        guard let factor = operand.factor else { return nil }
        let from = visible(operand.type.shape)
        let to = visible(shape)
        let leading = factor.leading(in: from)
        let trailing = factor.trailing(in: from)
        var before = 1
        for (axis, dimension) in to.enumerated() {
            if leading % before == 0, shape[axis] > 0 {
                let outer = leading / before
                let inner = dimension / (outer * operand.batchSize)
                if inner > 0, dimension == outer * operand.batchSize * inner,
                    inner * to[(axis + 1)...].elementCount == trailing
                {
                    return BatchFactor(axis: axis, outer: outer, inner: inner)
                }
            }
            before *= dimension
        }
        throw BatchMixing(
            axis: factor.axis, "the new shape \(shape) splits the batch of \(operand.batchSize) over several axes")
    }

    /// The shape with a prime in place of zeros, so that the axes of a tensor without elements can be told apart.
    private static func visible(_ shape: [Int]) -> [Int] { shape.map { $0 == 0 ? 1_000_003 : $0 } }

    public static func transpose(_ operand: BatchOperand, permutation: [Int]) -> BatchFactor? {
        guard var factor = operand.factor else { return nil }
        factor.axis = permutation.firstIndex(of: factor.axis)!
        return factor
    }

    /// An operation that combines all entries of `axes` and leaves the shape as it is (softmax, normalisation, cumulation).
    public static func along(_ axes: [Int], _ operand: BatchOperand, _ verb: String) throws(BatchMixing) -> BatchFactor?
    {
        guard let factor = operand.factor else { return nil }
        if axes.contains(factor.axis) { throw BatchMixing(axis: factor.axis, "it \(verb) over the batch") }
        return factor
    }

    /// A reduction over `axes`.
    public static func reduce(_ operand: BatchOperand, axes: [Int], keepingAxes: Bool) throws(BatchMixing)
        -> BatchFactor?
    {
        guard var factor = try along(axes, operand, "reduces") else { return nil }
        if !keepingAxes { factor.axis -= axes.count { $0 < factor.axis } }
        return factor
    }

    /// Joining along `axis`: everything else must line up.
    public static func concatenate(_ operands: [BatchOperand], axis: Int) throws(BatchMixing) -> BatchFactor? {
        let factors = Set(operands.compactMap(\.factor))
        guard let factor = factors.first else { return nil }
        if factors.allSatisfy({ $0.axis == axis && $0.inner == factor.inner }),
            operands.allSatisfy({ $0.factor != nil })
        {
            // Batches one behind the other, as where two inputs go through one network together.
            return BatchFactor(
                axis: axis, outer: operands.reduce(0) { $0 + $1.factor!.outer }, inner: factor.inner)
        }
        if factors.count > 1 {
            throw BatchMixing(axis: axis, "its operands hold the samples on different axes")
        }
        if factor.axis == axis {
            throw BatchMixing(axis: axis, "it joins a batch with a tensor that holds no samples along the batch")
        }
        for operand in operands where operand.factor == nil {
            if operand.type.shape[factor.axis] != 1 || operand.batchSize == 1 {
                guard operand.isUniform(along: factor, axis: factor.axis) else {
                    throw BatchMixing(axis: factor.axis, "an operand differs by the position of a sample in the batch")
                }
            } else {
                throw BatchMixing(axis: factor.axis, "an operand holds one entry where the batch lies")
            }
        }
        return factor
    }

    /// Matrix products over the last two axes with broadcast leading axes (ONNX MatMul, both ranks at least 2).
    public static func matmul(_ left: BatchOperand, _ right: BatchOperand, outputRank: Int) throws(BatchMixing)
        -> BatchFactor?
    {
        if let factor = left.factor, factor.axis == left.type.rank - 1 {
            throw BatchMixing(axis: factor.axis, "it contracts over the batch")
        }
        if let factor = right.factor, factor.axis == right.type.rank - 2 {
            throw BatchMixing(axis: factor.axis, "it contracts over the batch")
        }
        if let factor = left.factor, factor.axis == left.type.rank - 2 {
            if right.factor != nil {
                throw BatchMixing(axis: factor.axis, "it multiplies every sample with every other")
            }
            return BatchFactor(axis: outputRank - 2, outer: factor.outer, inner: factor.inner)
        }
        if let factor = right.factor, factor.axis == right.type.rank - 1 {
            if left.factor != nil {
                throw BatchMixing(axis: factor.axis, "it multiplies every sample with every other")
            }
            return BatchFactor(axis: outputRank - 1, outer: factor.outer, inner: factor.inner)
        }
        return try elementwise([left, right], outputRank: outputRank)
    }
}
