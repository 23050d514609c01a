import Kernels
public import TensorGraph

extension GraphBuilder {
    /// Puts one node in the place of scaled dot-product attention that is spelled out as products and a softmax, as both
    /// exporters and this package's own expansions write it.
    ///
    /// The node reads queries, keys and values where they lie, so that transpositions and slices before it are not
    /// carried out, nor the transposition behind it. Attention stays as it is where its probabilities have other
    /// readers or are dropped out, and where scores depend on parameters by more than queries and keys.
    /// - Parameter loss: only what it depends on is looked at.
    public mutating func fuseAttention(before loss: ValueID) throws(GraphError) {
        let readers = graph.readers(before: loss)
        for node in graph.nodes where node.operation is MatrixProduct && !readers[node.output, default: []].isEmpty {
            guard let pattern = AttentionPattern(node, readers, in: &self),
                let (target, operation, inputs) = pattern.fused(readers, in: self)
            else { continue }
            try replaceNode(computing: target, by: operation, inputs)
        }
    }
}

/// softmax(mask(scale Q K^T)) V as found in a graph.
struct AttentionPattern {
    /// A mask and the value that holds it.
    struct Mask {
        var value: ValueID
        var mask: AttentionMask
    }

    let scores: Node
    /// The product of probabilities and values.
    let result: Node
    private(set) var masks: [Mask] = []
    private(set) var scale: Float = 1
    private(set) var clearsUndefinedQueries = false
    /// Shape of the scores, [..., queries, keys].
    let shape: [Int]

    /// Walks from the product with the values back to that of queries and keys; nil if anything else lies between.
    init?(_ result: Node, _ readers: [ValueID: [Node]], in builder: inout GraphBuilder) {
        guard let product = result.operation as? MatrixProduct, !product.transposesLeft else { return nil }
        self.result = result
        var graph: Graph { builder.graph }
        var current = result.inputs[0]
        let sizes = Array(graph.type(of: current).shape.suffix(2))
        var allowedReaders = 1

        /// The node that computes `current`, which only the node that was left may read, past changes of the heads' axes.
        func producer() -> Node? {
            while let node = graph.producer(of: current), readers[current, default: []].count == allowedReaders {
                guard node.operation is View, Array(graph.type(of: node.inputs[0]).shape.suffix(2)) == sizes else {
                    return node
                }
                current = node.inputs[0]
                allowedReaders = 1
            }
            return nil
        }

        if let node = producer(), node.operation is Select, let cleared = Self.clearedInput(node, in: graph),
            readers[node.inputs[0], default: []].count == 1
        {
            clearsUndefinedQueries = true
            (current, allowedReaders) = (cleared, 2)
        }
        guard let node = producer(), let softmax = node.operation as? Softmax, softmax.form == .softmax,
            softmax.axis == graph.type(of: current).rank - 1
        else { return nil }
        (current, allowedReaders) = (node.inputs[0], 1)
        shape = graph.type(of: current).shape
        while true {
            guard let node = producer() else { return nil }
            if node.operation is MatrixProduct {
                scores = node
                break
            }
            if let factor = Self.scaling(node, in: graph) {
                scale *= factor.factor
                current = node.inputs[factor.input]
                continue
            }
            // What was found so far lies behind the mask, so nothing may have been scaled.
            guard scale == 1, let (mask, masked) = Self.mask(node, sizes, in: &builder) else { return nil }
            if let mask { masks.insert(mask, at: 0) }
            current = masked
        }
        guard shape.elementCount > 0, graph.type(of: scores.output).count == shape.elementCount else { return nil }
    }

    /// x of isNaN(x) ? 0 : x.
    private static func clearedInput(_ node: Node, in graph: Graph) -> ValueID? {
        guard let test = graph.producer(of: node.inputs[0]), (test.operation as? FloatTest)?.property == .isNaN,
            test.inputs[0] == node.inputs[2], let zero = graph[node.inputs[1]].constant, zero.type.count == 1,
            zero.floatValues[0] == 0
        else { return nil }
        return node.inputs[2]
    }

    private static func scaling(_ node: Node, in graph: Graph) -> (input: Int, factor: Float)? {
        switch node.operation {
        case let operation as Unary:
            guard case .affine(let scale, offset: 0) = operation.function else { return nil }
            return (0, scale)
        case let operation as Binary: return graph.scaling(node, operation)
        default: return nil
        }
    }

    /// The mask that a node applies, nil if it changes nothing, and the scores that it applies it to.
    private static func mask(_ node: Node, _ sizes: [Int], in builder: inout GraphBuilder) -> (Mask?, ValueID)? {
        let graph = builder.graph
        let shape = graph.type(of: node.output).shape
        func isScores(_ value: ValueID) -> Bool {
            graph[value].dependsOnParameter && graph.type(of: value).shape == shape
        }
        if let operation = node.operation as? Binary, operation.function == .add {
            guard let scores = node.inputs.firstIndex(where: isScores),
                !graph[node.inputs[1 - scores]].dependsOnParameter
            else { return nil }
            let added = builder.withoutEqualMatrices(node.inputs[1 - scores])
            if let constant = builder.constant(added), constant.floatValues.allSatisfy({ $0 == 0 }) {
                return (nil, node.inputs[scores])
            }
            return Self.mask(.added, added, shape, in: builder).map { ($0, node.inputs[scores]) }
        }
        guard node.operation is Select, let scores = [1, 2].first(where: { isScores(node.inputs[$0]) }),
            let fill = graph[node.inputs[3 - scores]].constant, fill.type.count == 1
        else { return nil }
        let effect = AttentionMask.Effect.replaced(fill: fill.floatValues[0], where: scores == 2)
        let condition = builder.withoutEqualMatrices(node.inputs[0])
        return Self.mask(effect, condition, shape, in: builder).map { ($0, node.inputs[scores]) }
    }

    /// Matrices of scores, one for each head of each sample, whose places in the mask are listed.
    private static let mostMatrices = 1 << 24

    /// A mask that has an entry of its own for each key.
    private static func mask(
        _ effect: AttentionMask.Effect, _ value: ValueID, _ scores: [Int], in builder: GraphBuilder
    ) -> Mask? {
        let own = builder.shape(of: value).leftPadded(toRank: scores.count)
        guard own.last == scores.last, own.count == scores.count, scores.dropLast(2).elementCount <= mostMatrices else {
            return nil
        }
        let strides = own.rowMajorStrides
        func stride(_ axis: Int) -> Int { own[axis] == 1 ? 0 : strides[axis] }
        var offsets = [0]
        for axis in scores.indices.dropLast(2) {
            offsets = offsets.flatMap { start in (0..<scores[axis]).map { start + $0 * stride(axis) } }
        }
        return Mask(value: value, mask: AttentionMask(effect, offsets: offsets, stride: stride(scores.count - 2)))
    }
}

extension GraphBuilder {
    /// A constant mask with one matrix where samples or heads have equal ones.
    fileprivate mutating func withoutEqualMatrices(_ mask: ValueID) -> ValueID {
        var result = mask
        guard constant(mask) != nil else { return mask }
        for axis in shape(of: mask).indices.dropLast(2) {
            if let single = try? collapsed(result, axis: axis) { result = single }
        }
        return result
    }
}

extension Graph {
    /// The nodes that read each value, as far as `value` depends on them.
    func readers(before value: ValueID) -> [ValueID: [Node]] {
        var isNeeded = [Bool](repeating: false, count: values.count)
        isNeeded[value.index] = true
        var readers: [ValueID: [Node]] = [:]
        for node in nodes.reversed() where node.outputs.contains(where: { isNeeded[$0.index] }) {
            for input in node.inputs {
                isNeeded[input.index] = true
                readers[input, default: []].append(node)
            }
        }
        readers[value, default: []] += []
        return readers
    }
}
