internal import Kernels
public import TensorGraph

/// Emitting changes of shape and order, without leaving no-ops in the graph.
extension GraphBuilder {
    /// The same elements in the same order under another shape.
    public mutating func view(_ value: ValueID, _ shape: [Int]) throws(GraphError) -> ValueID {
        if self.shape(of: value) == shape { return value }
        if let node = graph.producer(of: value), node.operation is View {
            if followsBatch == false { return try view(node.inputs[0], shape) }
            if self.shape(of: node.inputs[0]) == shape, canSkip(value, to: node.inputs[0]) { return node.inputs[0] }
        }
        return try emit(View(shape: shape), value)
    }

    /// Axis k of the result is axis `permutation[k]` of `value`.
    public mutating func transpose(_ value: ValueID, _ permutation: [Int]) throws(GraphError) -> ValueID {
        if permutation == Array(permutation.indices) { return value }
        if let node = graph.producer(of: value), let earlier = node.operation as? Transposition,
            canSkip(value, to: node.inputs[0])
        {
            return try transpose(node.inputs[0], permutation.map { earlier.permutation[$0] })
        }
        return try emit(Transposition(permutation: permutation), value)
    }

    /// Whether a value may be left out for the one it was moved from: not if samples are said to meet in it only.
    private func canSkip(_ value: ValueID, to earlier: ValueID) -> Bool {
        graph[value].batch != .mixed || graph[earlier].batch == .mixed
    }

    public mutating func broadcast(_ value: ValueID, to shape: [Int]) throws(GraphError) -> ValueID {
        if self.shape(of: value) == shape { return value }
        return try emit(Broadcasting(shape: shape), value)
    }

    public mutating func concatenate(_ values: [ValueID], axis: Int) throws(GraphError) -> ValueID {
        if values.count == 1 { return values[0] }
        return try emitAll(Concatenation(axis: axis), try oneCopyPerSample(values))[0]
    }

    /// Operands to be joined: where some hold samples, a trainable one that repeats itself as often as the batch is
    /// large is declared to hold one copy per sample.
    mutating func oneCopyPerSample(_ values: [ValueID]) throws(GraphError) -> [ValueID] {
        guard followsBatch, batchSize > 1, let factor = batchFactor(of: values)
        else { return values }
        var result = values
        for (index, value) in values.enumerated() {
            let shape = self.shape(of: value)
            guard graph[value].batch == .free, graph[value].dependsOnParameter, factor.outer == 1, factor.inner == 1,
                shape[factor.axis] == batchSize, let copy = try collapsed(value, axis: factor.axis)
            else { continue }
            let repeated = try broadcast(copy, to: shape)
            if graph[repeated].batch == .free { markBatched(repeated, factor) }
            result[index] = repeated
        }
        return result
    }

    private func batchFactor(of values: [ValueID]) -> BatchFactor? {
        values.lazy.compactMap { self.graph[$0].batch.factor }.first
    }

    /// Entries `range` of `axis`.
    public mutating func slice(_ value: ValueID, axis: Int, _ range: Range<Int>) throws(GraphError) -> ValueID {
        let shape = self.shape(of: value)
        if range == 0..<shape[axis] { return value }
        var starts = [Int](repeating: 0, count: shape.count)
        var counts = shape
        starts[axis] = range.lowerBound
        counts[axis] = range.count
        return try emit(Slicing(starts: starts, steps: shape.map { _ in 1 }, counts: counts), value)
    }

    /// The value as [B, T, features]: samples first, everything else of a sample that is not one of the last
    /// `featureAxes` axes in the middle.
    ///
    /// `factor` says where the samples lie; it must not lie on a feature axis.
    public mutating func batchMajor(_ value: ValueID, _ factor: BatchFactor, featureAxes: Int) throws(GraphError)
        -> ValueID
    {
        let shape = self.shape(of: value)
        let features = shape.suffix(featureAxes).elementCount
        let rows = shape.dropLast(featureAxes).elementCount
        if batchSize == 1 { return try view(value, [1, rows, features]) }
        precondition(factor.axis < shape.count - featureAxes, "the batch lies on a feature axis")
        let leading = factor.leading(in: shape)
        let positions = factor.trailing(in: shape) / max(features, 1)
        if leading == 1 { return try view(value, [batchSize, positions, features]) }
        let split = try view(value, [leading, batchSize, positions, features])
        return try view(try transpose(split, [1, 0, 2, 3]), [batchSize, leading * positions, features])
    }

    /// Sums a value over everything but the samples and the axes along which a tensor of `shape` was not broadcast:
    /// [B] + shape. The per-sample gradient of a broadcast operand, from the gradient of full shape.
    public mutating func perSampleSum(_ value: ValueID, _ factor: BatchFactor, toBroadcastable shape: [Int])
        throws(GraphError) -> ValueID
    {
        let full = self.shape(of: value)
        let target = shape.leftPadded(toRank: full.count)
        if batchSize == 1 {
            return try view(try sum(value, toBroadcastable: target), [1] + shape)
        }
        precondition(target.isEmpty || target[factor.axis] == 1, "a parameter varies along the batch")
        // The batch axis becomes three, so that samples stay apart while their (outer, inner) positions are summed.
        let split = Array(full[..<factor.axis]) + [factor.outer, batchSize, factor.inner] + full[(factor.axis + 1)...]
        let kept = Array(target[..<factor.axis]) + [1, batchSize, 1] + target[(factor.axis + 1)...]
        let axes = split.indices.filter { kept[$0] == 1 && split[$0] != 1 }
        let summed = try sumOfProducts(value, as: split, axes: axes)
        let batchAxis = factor.axis + 1
        let order = [batchAxis] + split.indices.filter { $0 != batchAxis }
        // Moving the batch in front is a change of shape only if nothing but ones stands before it.
        let isInFront = kept[..<batchAxis].allSatisfy { $0 == 1 }
        return try view(isInFront ? summed : try transpose(summed, order), [batchSize] + shape)
    }

    /// Sums a value, seen as `shape`, over axes, which it keeps. Where it is a product, that need not be in memory.
    private mutating func sumOfProducts(_ value: ValueID, as shape: [Int], axes: [Int]) throws(GraphError) -> ValueID {
        guard !axes.isEmpty, let node = graph.producer(of: value), (node.operation as? Binary)?.function == .mul,
            node.inputs.allSatisfy({ graph.type(of: $0) == graph.type(of: value) }),
            graph.type(of: value).elementType == .float32
        else { return try sum(try view(value, shape), axes: axes, keepingAxes: true) }
        let factors = [try view(node.inputs[0], shape), try view(node.inputs[1], shape)]
        return try emit(ProductSum(axes: axes), factors[0], factors[1])
    }
}
