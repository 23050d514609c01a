public import TensorGraph

/// A table whose rows are read by index: G_i adds every position's gradient to the row that it read.
public struct EmbeddingSite: Site {
    /// Rows that were read, each in 0..<rows (negative ONNX indices are normalised before): [B, T], int64.
    public let indices: ValueID
    /// Gradient of what was read: [B, T, D].
    public let gradients: ValueID
    public let gradientShape: [Int]
    /// Sizes of the table, as it is read.
    let rows: Int
    let width: Int
    private let positions: Int

    /// - Parameter tableShape: [rows, D], or [rows, ...] with D elements to a row.
    public init(indices: ValueID, gradients: ValueID, tableShape: [Int], in builder: GraphBuilder) {
        self.init(
            indices: indices, gradients: gradients, rows: tableShape[0], gradientShape: tableShape, in: builder)
    }

    private init(
        indices: ValueID, gradients: ValueID, rows: Int, gradientShape: [Int], in builder: GraphBuilder
    ) {
        let shape = builder.shape(of: gradients)
        precondition(
            shape.count == 3 && builder.shape(of: indices) == Array(shape[..<2])
                && gradientShape.elementCount == rows * shape[2],
            "an embedding site with gradients \(shape) has no table of shape \(gradientShape)")
        self.indices = indices
        self.gradients = gradients
        self.gradientShape = gradientShape
        self.rows = rows
        width = shape[2]
        positions = shape[1]
    }

    public var ruleName: String { "embedding" }

    public var cost: SiteCost {
        let elements = Double(rows) * Double(width)
        return SiteCost(
            ghost: Double(positions) * Double(width), instantiate: Double(positions) * Double(width) + elements,
            elements: elements)
    }

    public func ghostNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        try builder.emit(EmbeddingNorms(rows: rows), indices, gradients)
    }

    public func perSampleGradients(in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        let batch = builder.shape(of: gradients)[0]
        return try builder.view(
            try builder.emit(EmbeddingPerSampleGradients(rows: rows), indices, gradients), [batch] + gradientShape)
    }

    public func contraction(factors: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        try builder.view(
            try builder.emit(EmbeddingContraction(rows: rows), indices, gradients, factors), gradientShape)
    }

    /// The reads of all samples joined are reads of one.
    public func joiningSamples(_ count: Int, in builder: inout GraphBuilder) throws(GraphError) -> any Site {
        let batch = builder.shape(of: indices)[0] / count
        return EmbeddingSite(
            indices: try builder.view(indices, [batch, count * positions]),
            gradients: try builder.view(gradients, [batch, count * positions, width]), rows: rows,
            gradientShape: gradientShape, in: builder)
    }

    /// Several reads of one table are one read of all positions.
    public func merged(with others: [any Site], in builder: inout GraphBuilder) throws(GraphError) -> (any Site)? {
        var allIndices = [indices]
        var allGradients = [gradients]
        for other in others {
            guard let other = other as? EmbeddingSite, other.rows == rows, other.gradientShape == gradientShape else {
                return nil
            }
            allIndices.append(other.indices)
            allGradients.append(other.gradients)
        }
        let joined = try builder.concatenate(allIndices, axis: 1)
        let gradients = try builder.concatenate(allGradients, axis: 1)
        return EmbeddingSite(
            indices: joined, gradients: gradients, rows: rows, gradientShape: gradientShape, in: builder)
    }

    /// With an output projection tied to the table: sum_{s,t} (g_s . h_t) gLogits[t, index_s].
    public func innerProducts(with other: any Site, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        guard let head = other as? LinearSite, head.rows == rows, head.columns == width else { return nil }
        return try builder.emit(EmbeddingHeadCross(), indices, gradients, head.right, head.left)
    }

    public func pulledBack(through operation: any Operation, inputShape: [Int], in builder: inout GraphBuilder)
        throws(GraphError) -> (any Site)?
    {
        guard operation is View else { return nil }
        return EmbeddingSite(
            indices: indices, gradients: gradients, rows: rows, gradientShape: inputShape, in: builder)
    }
}
