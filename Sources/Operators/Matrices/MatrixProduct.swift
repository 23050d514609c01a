public import TensorGraph

/// Matrix product over the last two axes; leading axes broadcast. Both operands have rank 2 or more.
public struct MatrixProduct: Operation {
    /// Whether the left operand is stored as [..., K, M].
    public let transposesLeft: Bool
    /// Whether the right operand is stored as [..., N, K].
    public let transposesRight: Bool

    public init(transposesLeft: Bool = false, transposesRight: Bool = false) {
        self.transposesLeft = transposesLeft
        self.transposesRight = transposesRight
    }

    public var description: String { "matmul\(transposesLeft ? " T" : "")\(transposesRight ? " ·T" : "")" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let left = Self.flipped(inputs[0], if: transposesLeft)
        let right = Self.flipped(inputs[1], if: transposesRight)
        guard inputs.allSatisfy({ $0.elementType == .float32 && $0.rank >= 2 }), left.last == right[right.count - 2],
            let leading = broadcastedShape([left.dropLast(2), right.dropLast(2)].map(Array.init))
        else { throw .invalid("cannot multiply \(inputs[0]) and \(inputs[1]) as matrices") }
        return [TensorType(.float32, leading + [left[left.count - 2], right[right.count - 1]])]
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        let rank = builder.shape(of: node.output).count
        guard axis >= rank - 2 else { return try builder.collapsedElementwise(node, axis: axis) }
        // Equal rows come from equal rows on the left, equal columns from equal columns on the right.
        let operand = axis - (rank - 2)
        let ownRank = builder.shape(of: node.inputs[operand]).count
        let isFlipped = operand == 0 ? transposesLeft : transposesRight
        guard
            let single = try builder.collapsed(
                node.inputs[operand], axis: ownRank - (isFlipped == (operand == 0) ? 1 : 2))
        else { return nil }
        return operand == 0
            ? try builder.emit(self, single, node.inputs[1]) : try builder.emit(self, node.inputs[0], single)
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        let left = Self.flipped(inputs[0], if: transposesLeft)
        let right = Self.flipped(inputs[1], if: transposesRight)
        return [try BatchRules.matmul(left, right, outputRank: outputs[0].rank)]
    }

    /// The shape that an operand has in the product.
    static func flipped(_ type: TensorType, if isTransposed: Bool) -> [Int] {
        guard isTransposed, type.rank >= 2 else { return type.shape }
        return type.shape.dropLast(2) + [type.shape[type.rank - 1], type.shape[type.rank - 2]]
    }

    /// The operand as if it were stored in the order of the product.
    private static func flipped(_ operand: BatchOperand, if isTransposed: Bool) -> BatchOperand {
        guard isTransposed else { return operand }
        var result = operand
        let rank = operand.type.rank
        result.type = operand.type.with(shape: flipped(operand.type, if: true))
        // Constants broadcast over the batch, if at all, along leading axes, which stay where they are.
        if let factor = operand.factor, factor.axis >= rank - 2 {
            result.factor = BatchFactor(axis: 2 * rank - 3 - factor.axis, outer: factor.outer, inner: factor.inner)
        }
        return result
    }
}
