public import Kernels
public import TensorGraph

extension GraphBuilder {
    /// A loss equal to `loss`, softmax-cross-entropy over the outputs of a linear layer, whose logits are never in memory
    /// as a whole: blocks of them are computed for the loss, once more for the gradient and norms, and a third time for
    /// the contraction. Nil where the loss is none, has fewer classes than a block, or something else reads the logits.
    ///
    /// Between layer and loss the logits may be sliced, given another shape and transposed, as long as all classes of a
    /// position stay together; x is moved in their place.
    /// - Parameters:
    ///   - rowsPerSample: rows of the batch that make up a sample.
    ///   - tellsNorms: whether norms of the weights' gradients are wanted.
    public mutating func computeHeadInBlocks(
        of loss: ValueID, rowsPerSample: Int, tellsNorms: Bool, block: VocabularyHead.Block
    ) throws(GraphError) -> ValueID? {
        guard let node = graph.producer(of: loss), node.operation is SampleCrossEntropy,
            shape(of: node.inputs[0])[2] > block.classes,
            let pattern = HeadPattern(logits: node.inputs[0], graph.readers(before: loss), in: graph)
        else { return nil }
        let x = try pattern.moved(pattern.product.inputs[0], in: &self)
        let weights = pattern.product.inputs[1]
        guard graph[x].batch.factor == BatchFactor(axis: 0), graph[node.inputs[1]].batch.factor == BatchFactor(axis: 0)
        else { return nil }
        origin = pattern.product.origin
        let bias = try pattern.bias.map { value throws(GraphError) in try view(value, [pattern.classes]) }
        let losses = HeadLosses(
            isClassMajor: pattern.isClassMajor, hasBias: bias != nil, rowsPerSample: rowsPerSample, block: block,
            gradients: HeadGradients.Selection(
                x: graph[x].dependsOnParameter, norms: tellsNorms && graph[weights].dependsOnParameter,
                bias: bias.map { graph[$0].dependsOnParameter } ?? false))
        let inputs = [x, weights] + (bias.map { [$0] } ?? []) + [node.inputs[1]]
        return try emit(CountedMean(), try emitAll(losses, inputs)[0], node.inputs[1])
    }
}

/// The linear layer behind logits [B, T, classes], and what is done to its output on the way.
private struct HeadPattern {
    let product: Node
    private(set) var bias: ValueID?
    let classes: Int
    /// From the layer to the logits: an operation, and the shape and class axis of its output.
    private var moves: [(operation: any Operation, shape: [Int], axis: Int)] = []

    var isClassMajor: Bool { (product.operation as! MatrixProduct).transposesRight }

    init?(logits: ValueID, _ readers: [ValueID: [Node]], in graph: Graph) {
        var current = logits
        var axis = 2
        let classes = graph.type(of: logits).shape[2]
        self.classes = classes
        while let node = graph.producer(of: current), readers[current, default: []].count == 1 {
            let shape = graph.type(of: current).shape
            let input = graph.type(of: node.inputs[0]).shape
            let before: Int
            switch node.operation {
            case let operation as MatrixProduct:
                guard axis == shape.count - 1, !operation.transposesLeft, graph[node.inputs[1]].batch == .free,
                    input.count == shape.count,
                    graph.type(of: node.inputs[1]).shape.dropLast(2).elementCount == 1,
                    graph[node.inputs[0]].batch.factor != nil
                else { return nil }
                product = node
                moves.reverse()
                return
            case let operation as Binary:
                guard operation.function == .add, bias == nil, axis == shape.count - 1,
                    let place = node.inputs.firstIndex(where: { Self.isBias($0, shape, in: graph) })
                else { return nil }
                bias = node.inputs[place]
                current = node.inputs[1 - place]
                guard graph.type(of: current).shape == shape else { return nil }
                continue
            case is View:
                guard
                    let found = input.indices.first(where: {
                        input[$0] == classes && input[..<$0].elementCount == shape[..<axis].elementCount
                    })
                else { return nil }
                before = found
            case let operation as Transposition:
                before = operation.permutation[axis]
            case let operation as Slicing:
                // A bias that is added to a slice is a layer of its own where layers are clipped one by one.
                guard bias == nil, operation.starts[axis] == 0, operation.steps[axis] == 1, input[axis] == classes
                else {
                    return nil
                }
                before = axis
            default: return nil
            }
            moves.append((node.operation, shape, axis))
            (current, axis) = (node.inputs[0], before)
        }
        return nil
    }

    /// One number for each class, the same for all samples and positions.
    private static func isBias(_ value: ValueID, _ shape: [Int], in graph: Graph) -> Bool {
        let own = graph.type(of: value).shape
        return graph[value].batch == .free && own.last == shape.last && own.elementCount == shape.last
    }

    /// What becomes of the layer's input, [..., width], if it is moved in place of the output.
    func moved(_ x: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        let width = builder.shape(of: x).last!
        var result = x
        for (operation, shape, axis) in moves {
            var own = shape
            own[axis] = width
            switch operation {
            case is View: result = try builder.view(result, own)
            case let operation as Transposition: result = try builder.transpose(result, operation.permutation)
            case let operation as Slicing:
                result = try builder.emit(
                    Slicing(starts: operation.starts, steps: operation.steps, counts: own), result)
            default: preconditionFailure("\(operation) is no move")
            }
        }
        return result
    }
}
