public import TensorGraph

extension PerSampleSite {
    /// The sites of what a node was computed from: G_i of the node's output brought to each of its inputs that depends
    /// on parameters. No sample reaches the node.
    ///
    /// Rules that are linear in the gradient work on all samples at once; where an operation has no such rule here, its
    /// own gradient is taken sample by sample.
    /// - Throws: `GraphError` `unsupported` if the operation has no gradient.
    public func pulledBack(to node: Node, in builder: inout GraphBuilder) throws(GraphError) -> [(
        input: ValueID, site: PerSampleSite
    )] {
        var result: [(input: ValueID, site: PerSampleSite)] = []
        for (index, input) in node.inputs.enumerated() where builder.graph[input].dependsOnParameter {
            guard let gradients = try gradients(index, of: node, in: &builder) else { continue }
            let shape = builder.shape(of: input)
            result.append((input, PerSampleSite(gradients: gradients, shape: shape, rule: ruleName)))
        }
        return result
    }

    /// [B] + the shape of input `index`.
    private func gradients(_ index: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        let shape = builder.shape(of: node.inputs[index])
        let output = builder.shape(of: node.output)
        let batch = builder.shape(of: gradients)[0]
        switch node.operation {
        case is View, is Convert:
            return try builder.view(gradients, [batch] + shape)
        case let operation as Transposition:
            let inverse = shape.indices.map { operation.permutation.firstIndex(of: $0)! + 1 }
            return try builder.transpose(gradients, [0] + inverse)
        case let operation as Slicing:
            return try builder.emit(
                SlicePlacement(starts: [0] + operation.starts, steps: [1] + operation.steps, shape: [batch] + shape),
                gradients)
        case let operation as Gathering:
            return try builder.emit(
                GatheringAdjoint(axis: operation.axis + 1, shape: [batch] + shape), gradients, node.inputs[1])
        case let operation as Concatenation:
            let axis = operation.axis
            let start = node.inputs[..<index].reduce(0) { $0 + builder.shape(of: $1)[axis] }
            return try builder.slice(gradients, axis: axis + 1, start..<start + shape[axis])
        case is Broadcasting:
            return try summed(gradients, batch, shape, rank: output.count, in: &builder)
        case let operation as Binary:
            guard let full = try operation.elementGradient(index, of: node, gradients, in: &builder) else { return nil }
            return try summed(full, batch, shape, rank: output.count, in: &builder)
        case let operation as Select:
            guard let full = try operation.elementGradient(index, of: node, gradients, in: &builder) else { return nil }
            return try summed(full, batch, shape, rank: output.count, in: &builder)
        case is Unary:
            let ones = builder.addConstant(Constant([Float](repeating: 1, count: shape.elementCount), shape: shape))
            guard let slope = try node.operation.inputGradient(index, of: node, outputGradients: [ones], in: &builder)
            else { return nil }
            return try builder.multiply(gradients, slope)
        default:
            return try oneByOne(index, node, batch, shape, output, in: &builder)
        }
    }

    private func summed(_ full: ValueID, _ batch: Int, _ shape: [Int], rank: Int, in builder: inout GraphBuilder)
        throws(GraphError) -> ValueID
    {
        let target = [batch] + shape.leftPadded(toRank: rank)
        return try builder.view(try builder.sum(full, toBroadcastable: target), [batch] + shape)
    }

    private func oneByOne(
        _ index: Int, _ node: Node, _ batch: Int, _ shape: [Int], _ output: [Int], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard node.outputs.count == 1 else {
            throw .unsupported("has no per-sample rule for parameters that it computes with; freeze them with --frozen")
        }
        var rows: [ValueID] = []
        for sample in 0..<batch {
            let own = try builder.view(try builder.slice(gradients, axis: 0, sample..<sample + 1), output)
            guard let gradient = try node.operation.inputGradient(index, of: node, outputGradients: [own], in: &builder)
            else { return nil }
            rows.append(try builder.view(gradient, [1] + shape))
        }
        return try builder.concatenate(rows, axis: 0)
    }
}
