import TensorGraph

/// Where tuples of coordinates lie in a tensor [shared..., n1, ..., nr, slice...].
struct TupleWalk {
    let tuples: Int
    /// Elements of one slice.
    let sliceCount: Int
    private let sizes: [Int]
    private let strides: [Int]
    /// Tuples and elements for one index of the shared axes.
    private let tuplesPerShared: Int
    private let elementsPerShared: Int

    init(data: [Int], indices: [Int], sharedAxes: Int) {
        let coordinates = sharedAxes..<sharedAxes + indices.last!
        tuples = indices.dropLast().elementCount
        sliceCount = data[coordinates.upperBound...].elementCount
        sizes = Array(data[coordinates])
        strides = Array(data.rowMajorStrides[coordinates])
        tuplesPerShared = indices[sharedAxes..<(indices.count - 1)].elementCount
        elementsPerShared = data[sharedAxes...].elementCount
    }

    /// First element of the slice that tuple number `tuple` means. A coordinate that does not exist is replaced by 0 and
    /// the tuple called missing.
    @inline(__always)
    func place(_ tuple: Int, _ indices: UnsafePointer<Int64>) -> (offset: Int, isMissing: Bool) {
        var offset = tuple / tuplesPerShared * elementsPerShared
        var isMissing = false
        for k in sizes.indices {
            if let entry = wrappedIndex(indices[tuple * sizes.count + k], sizes[k]) {
                offset += entry * strides[k]
            } else {
                isMissing = true
            }
        }
        return (offset, isMissing)
    }

    /// True if every coordinate has at least one entry, so that a missing tuple has a stand-in.
    var hasStandIn: Bool { !sizes.contains(0) }

    static func check(_ data: TensorType, _ indices: TensorType, sharedAxes: Int) throws(GraphError) {
        let fits =
            indices.elementType == .int64 && indices.rank > sharedAxes && data.rank >= sharedAxes
            && data.shape.prefix(sharedAxes) == indices.shape.prefix(sharedAxes)
            && sharedAxes + indices.shape.last! <= data.rank
        guard fits else {
            throw .invalid("\(indices) does not index slices of \(data) with \(sharedAxes) shared axes")
        }
    }

    /// Where the samples lie in the gathered slices.
    static func factor(data: BatchOperand, indices: BatchOperand, sharedAxes: Int) throws(BatchMixing) -> BatchFactor? {
        let indexAxes = indices.type.rank - 1
        let firstSliceAxis = sharedAxes + indices.type.shape[indexAxes]
        guard let factor = data.factor else {
            guard let factor = indices.factor else { return nil }
            guard factor.axis < indexAxes else {
                throw BatchMixing(axis: factor.axis, "its coordinates are of different samples")
            }
            if factor.axis < sharedAxes { return try shared(data, indices, sharedAxes) }
            return factor
        }
        if factor.axis < sharedAxes { return try shared(data, indices, sharedAxes) }
        guard indices.factor == nil else {
            throw BatchMixing(axis: factor.axis, "it looks up every sample by the indices of every other")
        }
        if factor.axis >= firstSliceAxis {
            return BatchFactor(
                axis: indexAxes + factor.axis - firstSliceAxis, outer: factor.outer, inner: factor.inner)
        }
        guard let own = ownSamples(data, indices, sharedAxes, factor) else {
            throw BatchMixing(axis: factor.axis, "it picks entries along the batch")
        }
        return own
    }

    /// Samples on an axis that data and indices share: a batch-free operand must be the same for all of them.
    private static func shared(_ data: BatchOperand, _ indices: BatchOperand, _ sharedAxes: Int) throws(BatchMixing)
        -> BatchFactor?
    {
        let operands = [data, indices].map { operand in
            var flat = operand
            let shape = operand.type.shape
            flat.type.shape = shape[..<sharedAxes] + [shape[sharedAxes...].elementCount]
            return flat
        }
        return try BatchRules.elementwise(operands, outputRank: sharedAxes + 1)
    }

    /// Constant tuples whose coordinate along the batch is the sample's own number.
    private static func ownSamples(
        _ data: BatchOperand, _ indices: BatchOperand, _ sharedAxes: Int, _ factor: BatchFactor
    ) -> BatchFactor? {
        guard let values = indices.constant?.int64Values else { return nil }
        let shape = data.type.shape
        let width = indices.type.shape.last!
        var samples: [Int] = []
        var rests: [Int] = []
        for tuple in stride(from: 0, to: values.count, by: max(width, 1)) {
            var rest = 0
            for k in 0..<width {
                guard let entry = wrappedIndex(values[tuple + k], shape[sharedAxes + k]) else { return nil }
                var own = entry
                if sharedAxes + k == factor.axis {
                    let place = SamplePosition.split(entry, factor, batchSize: data.batchSize)
                    samples.append(place.sample)
                    own = place.rest
                }
                rest = rest * shape[sharedAxes + k] + own
            }
            rests.append(rest)
        }
        return SamplePosition.factor(
            samples: samples, rest: rests, shape: Array(indices.type.shape.dropLast()), batchSize: data.batchSize)
    }
}
