import TensorGraph

/// Recognises constant indices that make every sample read only its own entries, as `x[arange(B), ...]` does.
enum SamplePosition {
    /// Where the samples lie in the output axes that an index tensor of `shape` makes, or nil if some sample reads
    /// another's entries, or entries that depend on its position in the batch.
    ///
    /// - Parameters:
    ///   - samples: for every index, in row-major order, the sample whose entry it reads.
    ///   - rest: for every index, what it reads of that sample, as any number that tells entries apart.
    static func factor(samples: [Int], rest: [Int], shape: [Int], batchSize: Int) -> BatchFactor? {
        let strides = shape.rowMajorStrides
        for axis in shape.indices where shape[axis] > 0 && shape[axis] % batchSize == 0 {
            let positions = shape[axis] / batchSize
            for inner in 1...positions where positions % inner == 0 {
                let own = samples.indices.allSatisfy { index in
                    let sample = index / strides[axis] % shape[axis] / inner % batchSize
                    return samples[index] == sample
                        && rest[index] == rest[index - sample * inner * strides[axis]]
                }
                if own { return BatchFactor(axis: axis, outer: positions / inner, inner: inner) }
            }
        }
        return nil
    }

    /// The sample, and the position within the sample's part of the axis, of entry `index` of an axis that holds `factor`.
    static func split(_ index: Int, _ factor: BatchFactor, batchSize: Int) -> (sample: Int, rest: Int) {
        let (row, inner) = index.quotientAndRemainder(dividingBy: factor.inner)
        let (outer, sample) = row.quotientAndRemainder(dividingBy: batchSize)
        return (sample, outer * factor.inner + inner)
    }
}
