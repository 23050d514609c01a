import Kernels
import TensorGraph

/// Loops over the samples of a batch, each run of which computes the same of its own sample (PyTorch writes
/// nn.EmbeddingBag so): computed for all samples at once, they are as independent as in any other model.
struct SampleLoop {
    private enum Joined {
        /// One value that every run reads.
        case same(ValueID)
        /// What the runs computed, on a new first axis.
        case each(ValueID)
    }

    private static let deepest = 64

    private var builder: GraphBuilder
    /// The joined values so far, by those of the single runs.
    private var known: [[ValueID]: Joined] = [:]

    /// - Parameter parts: one value of each run, in the order of the runs.
    /// - Returns: all of them on a new first axis; nil unless run i reads nothing but sample i and what has no samples.
    static func joined(_ parts: [ValueID], in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        guard builder.batchSize > 1, parts.count == builder.batchSize else { return nil }
        var loop = SampleLoop(builder: builder)
        guard case .each(let value)? = try loop.joined(parts, depth: 0) else { return nil }
        builder = loop.builder
        return value
    }

    private init(builder: GraphBuilder) { self.builder = builder }

    private mutating func joined(_ parts: [ValueID], depth: Int) throws(GraphError) -> Joined? {
        if let joined = known[parts] { return joined }
        guard depth < Self.deepest, let joined = try computed(parts, depth) else { return nil }
        known[parts] = joined
        return joined
    }

    private mutating func computed(_ parts: [ValueID], _ depth: Int) throws(GraphError) -> Joined? {
        let first = parts[0]
        if parts.allSatisfy({ $0 == first }) { return .same(first) }
        if let constant = builder.constant(first) {
            return parts.allSatisfy { builder.constant($0)?.isIdentical(to: constant) == true } ? .same(first) : nil
        }
        let nodes = parts.compactMap { builder.graph.producer(of: $0) }
        guard nodes.count == parts.count, nodes.allSatisfy({ $0.outputs.count == 1 }) else { return nil }
        if let samples = try samples(of: nodes) { return .each(samples) }
        let steps = nodes.map(step)
        let operation = steps[0].operation
        guard steps.allSatisfy({ step in step.operation.isEqual(to: operation) }) else { return nil }
        var inputs: [Joined] = []
        for index in steps[0].inputs.indices {
            guard let input = try joined(steps.map { $0.inputs[index] }, depth: depth + 1) else { return nil }
            inputs.append(input)
        }
        return try applied(operation, inputs, shape: builder.shape(of: first)).map { .each($0) }
    }

    /// The value of which each node takes one sample, in their order, as [B] + shape of what a node takes.
    private mutating func samples(of nodes: [Node]) throws(GraphError) -> ValueID? {
        let source = nodes[0].inputs[0]
        guard let factor = builder.graph[source].batch.factor, factor.axis == 0, factor.outer == 1,
            nodes.allSatisfy({ $0.inputs[0] == source })
        else { return nil }
        for (sample, node) in nodes.enumerated() {
            guard takes(node, sample, factor.inner, of: builder.shape(of: source)) else { return nil }
        }
        return try builder.view(source, [nodes.count] + builder.shape(of: nodes[0].outputs[0]))
    }

    /// Whether a node takes all `count` entries of a sample, which lie together, and nothing else.
    private func takes(_ node: Node, _ sample: Int, _ count: Int, of shape: [Int]) -> Bool {
        if let slice = node.operation as? Slicing {
            return slice.steps[0] == 1 && slice.starts[0] == sample * count
                && slice.counts == [count] + shape.dropFirst()
        }
        return (node.operation as? Gathering)?.axis == 0 && count == 1
            && builder.constant(node.inputs[1])?.int64Values == [Int64(sample)]
    }

    /// What a node computes. A sum over entries that is divided by their number is their mean: PyTorch writes the mean of
    /// the last bag so, and those of the others as such.
    private func step(_ node: Node) -> (operation: any Operation, inputs: [ValueID]) {
        guard (node.operation as? Binary)?.function == .div, let divisor = builder.constant(node.inputs[1]),
            let source = builder.graph.producer(of: node.inputs[0]), let sum = source.operation as? Reduction,
            sum.function == .sum, divisor.type.count == 1, divisor.type.elementType == .float32
        else { return (node.operation, node.inputs) }
        let shape = builder.shape(of: source.inputs[0])
        let count = sum.axes.reduce(1) { $0 * shape[$1] }
        guard divisor.floatValues == [Float(count)],
            builder.type(of: node.outputs[0]) == builder.type(of: source.outputs[0])
        else { return (node.operation, node.inputs) }
        return (Reduction(.mean, axes: sum.axes, keepsAxes: sum.keepsAxes), source.inputs)
    }

    /// An operation on one sample, applied to all of them; nil for one that is not known to treat a further axis alike.
    private mutating func applied(_ operation: any Operation, _ inputs: [Joined], shape: [Int]) throws(GraphError)
        -> ValueID?
    {
        let all = [builder.batchSize] + shape
        switch (operation, inputs.first) {
        case (is View, .each(let value)):
            return try builder.view(value, all)
        case (let operation as Reduction, .each(let value)):
            let axes = operation.axes.map { $0 + 1 }
            return try builder.emit(Reduction(operation.function, axes: axes, keepsAxes: operation.keepsAxes), value)
        case (let operation as Gathering, .same(let table)):
            guard operation.axis == 0, case .each(let indices) = inputs[1] else { return nil }
            return try builder.emit(operation, table, indices)
        case (is any ElementwiseOperation, _):
            var operands: [ValueID] = []
            for input in inputs {
                switch input {
                case .same(let value): operands.append(value)
                case .each(let value):
                    let own = Array(builder.shape(of: value).dropFirst()).leftPadded(toRank: shape.count)
                    operands.append(try builder.view(value, [builder.batchSize] + own))
                }
            }
            return try builder.emitAll(operation, operands)[0]
        default: return nil
        }
    }
}

extension Operation {
    fileprivate func isEqual(to other: any Operation) -> Bool { other as? Self == self }
}
