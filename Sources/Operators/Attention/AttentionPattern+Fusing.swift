import Kernels
import TensorGraph

extension AttentionPattern {
    /// The value that a fused node computes in place of what is there, the node's operation and its inputs; nil where the
    /// operands lie in a way that the kernels cannot read.
    func fused(_ readers: [ValueID: [Node]], in builder: GraphBuilder) -> (ValueID, FusedAttention, [ValueID])? {
        let graph = builder.graph
        guard let operands = Operands(self, in: graph),
            let (target, output) = Self.output(of: result, readers, in: graph)
        else { return nil }
        let heads = shape.dropLast(2).elementCount
        guard ([output] + operands.matrices).allSatisfy({ $0.offsets.count == heads }) else { return nil }
        let attention = TiledAttention(
            queries: shape[shape.count - 2], keys: shape[shape.count - 1], width: operands.width,
            valueWidth: graph.type(of: result.output).shape.last!, scale: scale * operands.scale,
            query: operands.matrices[0], key: operands.matrices[1], value: operands.matrices[2], output: output,
            masks: masks.map(\.mask), visibleKeys: visibleKeys(in: builder),
            clearsUndefinedQueries: clearsUndefinedQueries)
        let operation = FusedAttention(
            attention: attention, isJoined: operands.isJoined, outputShape: graph.type(of: target).shape)
        return (target, operation, operands.inputs + masks.map(\.value))
    }

    /// The result, or what it is transposed to if nobody reads it otherwise, and how the heads lie in it.
    private static func output(of result: Node, _ readers: [ValueID: [Node]], in graph: Graph) -> (
        ValueID, HeadMatrices
    )? {
        func matrices(_ value: ValueID, _ axes: [Int]) -> HeadMatrices? {
            // Axis k of the result is axis `axes[k]` of the value.
            let shape = graph.type(of: value).shape
            let strides = shape.rowMajorStrides
            guard axes.last == shape.count - 1 else { return nil }
            let offsets = axes.dropLast(2).reduce([0]) { starts, axis in
                starts.flatMap { start in (0..<shape[axis]).map { start + $0 * strides[axis] } }
            }
            let rows = axes[axes.count - 2]
            return HeadMatrices(offsets: offsets, stride: strides[rows])
        }
        var last = result.output
        while let reader = readers[last], reader.count == 1, reader[0].operation is View,
            graph.type(of: reader[0].output).shape.suffix(2) == graph.type(of: last).shape.suffix(2)
        {
            last = reader[0].output
        }
        if let reader = readers[last], reader.count == 1, let move = reader[0].operation as? Transposition,
            let found = matrices(
                reader[0].output, move.permutation.indices.map { move.permutation.firstIndex(of: $0)! })
        {
            return (reader[0].output, found)
        }
        return matrices(result.output, Array(graph.type(of: result.output).shape.indices)).map { (result.output, $0) }
    }

    /// For each query how many of the first keys some head lets it see; nil if none can be skipped.
    private func visibleKeys(in builder: GraphBuilder) -> [Int]? {
        let (queries, keys) = (shape[shape.count - 2], shape[shape.count - 1])
        var visible = [Int](repeating: keys, count: queries)
        for mask in masks {
            guard let constant = builder.constant(mask.value) else { continue }
            let values = constant.floatValues
            let heads = Array(Set(mask.mask.offsets))
            // Minus infinity hides a key whatever else is added; a number as low as that hides it from a query that sees
            // another one by no other mask.
            let highest: Float = masks.count == 1 ? -1e30 : -.infinity
            func isHidden(_ value: Float) -> Bool {
                switch mask.mask.effect {
                case .added: value <= highest
                case .replaced(let fill, let replaced): (value != 0) == replaced && fill <= highest
                }
            }
            for query in 0..<queries {
                let last = heads.map { head in
                    let row = head + query * mask.mask.stride
                    return (0..<keys).last { !isHidden(values[row + $0]) }
                }
                // Where a query sees no key at all, the softmax is taken over all of them.
                guard last.allSatisfy({ $0 != nil }) else { continue }
                visible[query] = min(visible[query], last.compactMap(\.self).max()! + 1)
            }
        }
        return visible.allSatisfy { $0 == keys } ? nil : visible
    }
}

/// Queries, keys and values: the values that hold them and how they lie there.
private struct Operands {
    let inputs: [ValueID]
    let isJoined: Bool
    let matrices: [HeadMatrices]
    /// By which the products of queries and keys are multiplied.
    let scale: Float
    let width: Int

    init?(_ pattern: AttentionPattern, in graph: Graph) {
        guard let scores = pattern.scores.operation as? MatrixProduct,
            let result = pattern.result.operation as? MatrixProduct
        else { return nil }
        let values = [pattern.scores.inputs[0], pattern.scores.inputs[1], pattern.result.inputs[1]]
        let areFlipped = [scores.transposesLeft, !scores.transposesRight, result.transposesRight]
        let queries = graph.type(of: values[0]).shape
        width = queries[queries.count - (scores.transposesLeft ? 2 : 1)]

        func origins(_ passage: StridedOrigin.Passage) -> [(origin: StridedOrigin, matrices: HeadMatrices)]? {
            var found: [(StridedOrigin, HeadMatrices)] = []
            for (index, value) in values.enumerated() {
                let own = index < 2 ? passage.union(.scalings) : passage
                let origin = StridedOrigin(of: value, in: graph, through: own)
                guard let (offsets, stride) = origin.matrices(isFlipped: areFlipped[index]) else { return nil }
                found.append((origin, HeadMatrices(offsets: offsets, stride: stride)))
            }
            return found
        }
        let counts = values.map { graph.type(of: $0).count }
        if let found = origins(.slices), Set(found.map(\.origin.base)).count == 1,
            Self.cover(graph.type(of: found[0].origin.base).count, found.map(\.matrices), pattern.shape, width, counts)
        {
            isJoined = true
            inputs = [found[0].origin.base]
            matrices = found.map(\.matrices)
            scale = found[0].origin.scale * found[1].origin.scale
        } else {
            guard let found = origins([]) else { return nil }
            isJoined = false
            inputs = found.map(\.origin.base)
            matrices = found.map(\.matrices)
            scale = found[0].origin.scale * found[1].origin.scale
        }
        // Parameters that no sample reaches need per-sample rules, which attention has not.
        guard inputs.allSatisfy({ graph[$0].batch != .free || !graph[$0].dependsOnParameter }) else { return nil }
    }

    /// Whether the rows of all heads are disjoint and make up a tensor of `count` elements.
    private static func cover(
        _ count: Int, _ matrices: [HeadMatrices], _ shape: [Int], _ width: Int, _ counts: [Int]
    ) -> Bool {
        guard counts.reduce(0, +) == count, count % width == 0 else { return false }
        let rows = [shape[shape.count - 2], shape[shape.count - 1], shape[shape.count - 1]]
        var isTaken = [Bool](repeating: false, count: count / width)
        for (index, matrices) in matrices.enumerated() {
            let rows = rows[index]
            guard rows * width * matrices.offsets.count == counts[index] else { return false }
            for head in matrices.offsets.indices {
                for row in 0..<rows {
                    let start = matrices.offsets[head] + row * matrices.stride
                    guard start % width == 0, !isTaken[start / width] else { return false }
                    isTaken[start / width] = true
                }
            }
        }
        return isTaken.allSatisfy(\.self)
    }
}
