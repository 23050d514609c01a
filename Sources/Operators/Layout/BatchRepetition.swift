import TensorGraph

/// Recognises values that are the same for all samples but are repeated once for each, as an expanded class token is.
enum BatchRepetition {
    /// The axis of a node's first output along which its input was repeated once per sample; nil if there is none.
    ///
    /// It is the one axis that has another size in the reference graph of another batch size. Where the batch size is
    /// baked into the model, there is no reference, and a first axis that grew from 1 to the batch size is taken, unless
    /// that has proved wrong (`RepetitionGuesses`).
    static func axis(of shape: [Int], from input: [Int], in node: Expansion) -> Int? {
        let before = input.count <= shape.count ? input.leftPadded(toRank: shape.count) : input
        if let reference = node.referenceOutputShapes.first ?? nil {
            guard reference.count == shape.count else { return nil }
            let differing = shape.indices.filter { shape[$0] != reference[$0] }
            return differing.count == 1 && before[differing[0]] == 1 ? differing[0] : nil
        }
        return node.guessesRepetition && before.first == 1 && shape.first == node.builder.batchSize ? 0 : nil
    }

    /// The axis that `repeats` copies once per sample, as axis(of:from:in:) says; its entries may be many before, too.
    static func tiledAxis(_ repeats: [Int], of shape: [Int], in node: Expansion) -> Int? {
        guard let reference = node.referenceOutputShapes.first ?? nil else {
            return node.guessesRepetition && repeats.first == node.builder.batchSize ? 0 : nil
        }
        guard reference.count == shape.count else { return nil }
        let differing = shape.indices.filter { shape[$0] != reference[$0] }
        return differing.count == 1 ? differing[0] : nil
    }

    /// Declares that `repeated` holds one copy per sample on `axis`, if it is batch-free and computed from parameters.
    /// A constant needs no such mark: that it is the same for every sample can be read from its elements.
    static func mark(_ repeated: ValueID, axis: Int?, unlike source: ValueID, in builder: inout GraphBuilder) {
        let value = builder.graph[repeated]
        guard let axis, builder.batchSize > 1, repeated != source, value.constant == nil, value.batch == .free else {
            return
        }
        let size = value.type.shape[axis]
        guard size > 0, size % builder.batchSize == 0 else { return }
        builder.markBatched(repeated, BatchFactor(axis: axis, outer: 1, inner: size / builder.batchSize))
    }

    /// What is computed from parameters and repeated as often as the batch is large, declared to be one copy per sample.
    ///
    /// A constant that was repeated before it met a parameter, such as an initial state of zeros, makes such values. Only
    /// the axis on which the reference graph of another batch size differs holds the copies.
    /// - Parameter other: the value's shape in that graph; nil if there is none.
    static func oneCopyPerSample(_ value: ValueID, unlike other: [Int]?, in builder: inout GraphBuilder)
        throws(GraphError) -> ValueID
    {
        let (shape, state) = (builder.shape(of: value), builder.graph[value])
        guard let other, builder.batchSize > 1, state.batch == .free, state.dependsOnParameter,
            shape.count == other.count
        else { return value }
        let differing = shape.indices.filter { shape[$0] != other[$0] }
        guard differing.count == 1, shape[differing[0]] == builder.batchSize,
            let copy = try builder.collapsed(value, axis: differing[0])
        else { return value }
        let repeated = try builder.broadcast(copy, to: shape)
        mark(repeated, axis: differing[0], unlike: copy, in: &builder)
        return repeated
    }
}
