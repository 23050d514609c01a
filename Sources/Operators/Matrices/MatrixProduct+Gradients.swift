public import TensorGraph

extension MatrixProduct {
    /// For Y = A B: dA = dY B^T and dB = A^T dY, each written so that it has the order in which the operand is stored,
    /// and summed over the axes along which the operand was broadcast.
    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        let (left, right) = (node.inputs[0], node.inputs[1])
        let shape = builder.shape(of: node.inputs[index])
        if index == 1, !transposesLeft, shape.dropLast(2).elementCount == 1 {
            // All leading axes of the left operand are rows of one matrix.
            let rows = try flattened(left, in: &builder)
            return try builder.view(
                try product(1, left: rows, right: right, gradient: try flattened(gradient, in: &builder), in: &builder),
                shape)
        }
        let full = try product(index, left: left, right: right, gradient: gradient, in: &builder)
        return try builder.sum(full, toBroadcastable: shape)
    }

    private func flattened(_ value: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        let shape = builder.shape(of: value)
        return try builder.view(value, [shape.dropLast().elementCount, shape.last!])
    }

    /// The gradient of operand `index` before it is summed over broadcast axes.
    private func product(
        _ index: Int, left: ValueID, right: ValueID, gradient: ValueID, in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID {
        if index == 0 {
            return transposesLeft
                ? try builder.matmul(right, gradient, transposingLeft: transposesRight, transposingRight: true)
                : try builder.matmul(gradient, right, transposingRight: !transposesRight)
        }
        return transposesRight
            ? try builder.matmul(gradient, left, transposingLeft: true, transposingRight: transposesLeft)
            : try builder.matmul(left, gradient, transposingLeft: !transposesLeft)
    }

    /// One matrix for all positions is a linear site; several matrices (one per head, say) are instantiated per sample.
    public func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        guard let gradient = outputGradients[0], let outputFactor = builder.graph[node.output].batch.factor,
            let factor = builder.graph[node.inputs[1 - index]].batch.factor
        else { throw GraphError.invalid("no sample reaches the parameter at input \(index)").at("\(node.origin)") }
        let shape = builder.shape(of: node.inputs[index])
        let data = BatchedValue(node.inputs[1 - index], factor)
        let output = BatchedValue(gradient, outputFactor)
        guard shape.dropLast(2).elementCount == 1 else {
            return try instantiatedSite(index, shape: shape, data: data, gradient: output, in: &builder)
        }
        // Positions must be rows: of the left operand as it is, of the right operand after a transposition.
        let inputIsFlipped = index == 1 ? transposesLeft : !transposesRight
        let inputs = inputIsFlipped ? try data.swappingLastAxes(in: &builder) : data
        let outputs = index == 1 ? output : try output.swappingLastAxes(in: &builder)
        return LinearSite(
            x: try builder.batchMajor(inputs.value, inputs.factor, featureAxes: 1),
            g: try builder.batchMajor(outputs.value, outputs.factor, featureAxes: 1),
            isTransposed: index == 1 ? transposesRight : !transposesLeft, gradientShape: shape, in: builder)
    }

    /// The same products as in `inputGradient`, with the samples on an axis of their own in front.
    private func instantiatedSite(
        _ index: Int, shape: [Int], data: BatchedValue, gradient: BatchedValue, in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        let rank = builder.shape(of: gradient.value).count
        let operand = try data.paddingLeadingAxes(toRank: rank, in: &builder).samplesFirst(in: &builder)
        let output = try gradient.samplesFirst(in: &builder)
        let full = try product(index, left: operand, right: operand, gradient: output, in: &builder)
        let summed = try builder.sum(full, toBroadcastable: [builder.batchSize] + shape.leftPadded(toRank: rank))
        return PerSampleSite(
            gradients: try builder.view(summed, [builder.batchSize] + shape), shape: shape, rule: "linear")
    }
}

/// A value and where the samples lie in it.
private struct BatchedValue {
    let value: ValueID
    let factor: BatchFactor

    init(_ value: ValueID, _ factor: BatchFactor) {
        self.value = value
        self.factor = factor
    }

    func swappingLastAxes(in builder: inout GraphBuilder) throws(GraphError) -> BatchedValue {
        let rank = builder.shape(of: value).count
        let order = Array(0..<rank - 2) + [rank - 1, rank - 2]
        var moved = factor
        moved.axis = order.firstIndex(of: factor.axis)!
        return BatchedValue(try builder.transpose(value, order), moved)
    }

    func paddingLeadingAxes(toRank rank: Int, in builder: inout GraphBuilder) throws(GraphError) -> BatchedValue {
        let shape = builder.shape(of: value)
        var moved = factor
        moved.axis += rank - shape.count
        return BatchedValue(try builder.view(value, shape.leftPadded(toRank: rank)), moved)
    }

    /// [B] + the shape of one sample, of the same rank as the value.
    func samplesFirst(in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        let shape = builder.shape(of: value)
        if builder.batchSize == 1 { return try builder.view(value, [1] + shape) }
        let (before, after) = (Array(shape[..<factor.axis]), Array(shape[(factor.axis + 1)...]))
        let split = before + [factor.outer, builder.batchSize, factor.inner] + after
        let batchAxis = factor.axis + 1
        let order = [batchAxis] + split.indices.filter { $0 != batchAxis }
        let moved = try builder.transpose(try builder.view(value, split), order)
        return try builder.view(moved, [builder.batchSize] + before + [factor.outer * factor.inner] + after)
    }
}
