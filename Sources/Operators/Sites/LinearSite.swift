public import TensorGraph

/// A matrix that multiplies the features of every position: G_i = x_i^T g_i, or its transpose.
///
/// Covers dense layers, projections, pointwise convolutions and recurrent weights; a bias is a site of its own.
public struct LinearSite: Site {
    /// What enters the matrix: [B, T, d].
    public let x: ValueID
    /// Gradient of what leaves it: [B, T, p].
    public let g: ValueID
    /// Whether the parameter is stored as [p, d] instead of [d, p].
    public let isTransposed: Bool
    public let gradientShape: [Int]
    private let positions: Int
    /// The two sizes of the parameter's matrix, as it is stored.
    let rows: Int
    let columns: Int

    /// - Parameters:
    ///   - gradientShape: any shape with the elements of the stored matrix in the same order.
    ///   - builder: the graph that holds x and g.
    public init(x: ValueID, g: ValueID, isTransposed: Bool = false, gradientShape: [Int], in builder: GraphBuilder) {
        let (inputs, outputs) = (builder.shape(of: x), builder.shape(of: g))
        precondition(
            inputs.count == 3 && outputs.count == 3 && inputs[..<2] == outputs[..<2]
                && gradientShape.elementCount == inputs[2] * outputs[2],
            "a linear site of x \(inputs), g \(outputs) has no gradient of shape \(gradientShape)")
        self.x = x
        self.g = g
        self.isTransposed = isTransposed
        self.gradientShape = gradientShape
        positions = inputs[1]
        rows = isTransposed ? outputs[2] : inputs[2]
        columns = isTransposed ? inputs[2] : outputs[2]
    }

    public var ruleName: String { "linear" }

    public var cost: SiteCost {
        SiteCost(
            ghost: LinearSizes.gramMultiplyAdds(positions: positions, d: rows, p: columns),
            instantiate: Double(positions) * Double(rows) * Double(columns), elements: Double(rows) * Double(columns))
    }

    /// The two factors of the stored matrix: its gradient is left^T right.
    var left: ValueID { isTransposed ? g : x }
    var right: ValueID { isTransposed ? x : g }

    public func ghostNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        try builder.emit(LinearNorms(.ghost), left, right)
    }

    public func discardedNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        try builder.emit(LinearNorms(.instantiated), left, right)
    }

    public func perSampleGradients(in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        let batch = builder.shape(of: x)[0]
        return try builder.view(
            try builder.emit(LinearPerSampleGradients(), left, right), [batch] + gradientShape)
    }

    public func contraction(factors: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        try builder.view(try builder.emit(LinearContraction(), left, right, factors), gradientShape)
    }
}

extension LinearSite {
    /// The positions of all samples joined are positions of one.
    public func joiningSamples(_ count: Int, in builder: inout GraphBuilder) throws(GraphError) -> any Site {
        var joined: [ValueID] = []
        for value in [x, g] {
            let shape = builder.shape(of: value)
            joined.append(try builder.view(value, [shape[0] / count, count * shape[1], shape[2]]))
        }
        return LinearSite(
            x: joined[0], g: joined[1], isTransposed: isTransposed, gradientShape: gradientShape, in: builder)
    }

    /// Several uses of one matrix are one use with the positions of all (ALGORITHMS, shared parameters).
    public func merged(with others: [any Site], in builder: inout GraphBuilder) throws(GraphError) -> (any Site)? {
        var lefts = [left]
        var rights = [right]
        for other in others {
            guard let other = other as? LinearSite, other.gradientShape == gradientShape, other.rows == rows,
                other.columns == columns
            else { return nil }
            lefts.append(other.left)
            rights.append(other.right)
        }
        let x = try builder.concatenate(lefts, axis: 1)
        let g = try builder.concatenate(rights, axis: 1)
        return LinearSite(x: x, g: g, gradientShape: gradientShape, in: builder)
    }

    public func innerProducts(with other: any Site, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        if let other = other as? EmbeddingSite { return try other.innerProducts(with: self, in: &builder) }
        guard let other = other as? LinearSite, other.rows == rows, other.columns == columns else { return nil }
        return try builder.emit(LinearCross(), left, right, other.left, other.right)
    }

    public func pulledBack(through operation: any Operation, inputShape: [Int], in builder: inout GraphBuilder)
        throws(GraphError) -> (any Site)?
    {
        guard let isFlipped = Self.isFlipped(by: operation, inputShape: inputShape, rows: rows) else { return nil }
        return LinearSite(x: x, g: g, isTransposed: isTransposed != isFlipped, gradientShape: inputShape, in: builder)
    }

    /// Whether an operation transposes a matrix of `rows` rows, given the shape in which the matrix enters it; nil if it
    /// does anything else than transposing it or giving it another shape.
    static func isFlipped(by operation: any Operation, inputShape: [Int], rows: Int) -> Bool? {
        if operation is View { return false }
        guard let operation = operation as? Transposition else { return nil }
        // Axes of one entry may stand anywhere; the order of the others says what happens to the matrix.
        let order = operation.permutation.filter { inputShape[$0] != 1 }
        if order == order.sorted() { return false }
        let split = order.firstIndex(of: order.min()!)!
        let isTransposition =
            order[split...] + order[..<split] == ArraySlice(order.sorted())
            && order[..<split].map({ inputShape[$0] }).elementCount == rows
        return isTransposition ? true : nil
    }
}
