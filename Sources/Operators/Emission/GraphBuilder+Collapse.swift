import TensorGraph

extension GraphBuilder {
    /// An elementwise node's output with one entry on `axis`, if every operand has equal entries there.
    mutating func collapsedElementwise(_ node: Node, axis: Int) throws(GraphError) -> ValueID? {
        let rank = shape(of: node.output).count
        var inputs: [ValueID] = []
        for input in node.inputs {
            let own = axis - (rank - shape(of: input).count)
            guard own >= 0 else {
                inputs.append(input)
                continue
            }
            guard let collapsed = try collapsed(input, axis: own) else { return nil }
            inputs.append(collapsed)
        }
        return try emitAll(node.operation, inputs)[0]
    }

    /// The output of an elementwise node under another shape, computed from operands that are reshaped instead; nil if
    /// `value` is no such output or an operand does not broadcast to the new shape.
    mutating func elementwiseView(_ value: ValueID, _ shape: [Int]) throws(GraphError) -> ValueID? {
        guard let node = graph.producer(of: value), node.operation is any ElementwiseOperation else { return nil }
        let full = self.shape(of: value)
        var inputs: [ValueID] = []
        for input in node.inputs {
            let own = self.shape(of: input).leftPadded(toRank: full.count)
            guard let viewed = Self.view(own, asIn: full, shape) else { return nil }
            inputs.append(try view(input, viewed))
        }
        return try emitAll(node.operation, inputs)[0]
    }

    /// The shape that broadcasts to `new` as `own` does to `full`, which has the same elements as `new`: in each
    /// group of axes that becomes another one, `own` must have all entries or a single one.
    private static func view(_ own: [Int], asIn full: [Int], _ new: [Int]) -> [Int]? {
        var result: [Int] = []
        var axis = 0
        while axis < full.count || result.count < new.count {
            let (firstAxis, firstNew) = (axis, result.count)
            var end = firstNew
            var (before, after) = (1, 1)
            repeat {
                if before <= after, axis < full.count {
                    before *= full[axis]
                    axis += 1
                } else if end < new.count {
                    after *= new[end]
                    end += 1
                } else {
                    return nil
                }
            } while before != after
            let group = own[firstAxis..<axis]
            if group.elementsEqual(full[firstAxis..<axis]) {
                result += new[firstNew..<end]
            } else if group.allSatisfy({ $0 == 1 }) {
                result += new[firstNew..<end].map { _ in 1 }
            } else {
                return nil
            }
        }
        return result
    }

    /// Operands of an elementwise operation: where one holds the samples as (outer, B, inner) on an axis, a trainable
    /// operand that repeats itself once per sample there, as a bias added to a mask of windows does, is declared to hold
    /// one copy per sample. Copies that fill an axis of their own are left to `emit`, which broadcasts a single one.
    mutating func oneCopyPerSample(broadcasting values: [ValueID]) throws(GraphError) -> [ValueID] {
        guard followsBatch, batchSize > 1,
            let batched = values.first(where: { graph[$0].batch.factor != nil }),
            let factor = graph[batched].batch.factor, factor.outer * factor.inner > 1
        else { return values }
        let fromEnd = shape(of: batched).count - factor.axis
        var result = values
        for (index, value) in values.enumerated() where graph[value].batch == .free && graph[value].dependsOnParameter {
            let shape = self.shape(of: value)
            let own = BatchFactor(axis: shape.count - fromEnd, outer: factor.outer, inner: factor.inner)
            guard own.axis >= 0, shape[own.axis] == own.outer * batchSize * own.inner else { continue }
            result[index] = try oneCopyPerSample(value, own) ?? value
        }
        return result
    }

    /// A batch-free value that holds the same for every sample where `factor` says that samples lie, with the samples
    /// declared to lie there; nil if it is not known to.
    mutating func oneCopyPerSample(_ value: ValueID, _ factor: BatchFactor) throws(GraphError) -> ValueID? {
        let shape = self.shape(of: value)
        let apart = shape[..<factor.axis] + [factor.outer, batchSize, factor.inner] + shape[(factor.axis + 1)...]
        guard let copy = try collapsed(try view(value, Array(apart)), axis: factor.axis + 1) else { return nil }
        if let constant = constant(value) {
            let copies = addConstant(constant)
            markBatched(copies, factor)
            return copies
        }
        let copies = try broadcast(copy, to: Array(apart))
        BatchRepetition.mark(copies, axis: factor.axis + 1, unlike: copy, in: &self)
        return try view(copies, shape)
    }

    /// A convolution's output for one of several equal images, which lie on the first axis of its first operand.
    mutating func collapsedImages(_ node: Node, axis: Int) throws(GraphError) -> ValueID? {
        guard axis == 0, let image = try collapsed(node.inputs[0], axis: 0) else { return nil }
        return try emit(node.operation, image, node.inputs[1])
    }
}
