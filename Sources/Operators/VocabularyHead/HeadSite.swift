import TensorGraph

/// The weights of a vocabulary head that is computed in blocks: a linear site whose output gradient is not kept.
struct HeadSite: Site {
    private let values: HeadValues
    /// Whether the samples are those whose norms the head's gradient tells.
    private let isJoined: Bool
    /// Whether the parameter is stored as [classes, width], but for its shape.
    private let isClassMajor: Bool
    let gradientShape: [Int]
    private let positions: Int
    private let width: Int
    private let classes: Int

    init(_ values: HeadValues, in builder: GraphBuilder) {
        let weights = builder.type(of: values.inputs[1])
        let x = builder.shape(of: values.inputs[0])
        self.init(
            values, isJoined: values.forward.rowsPerSample == 1, isClassMajor: values.forward.isClassMajor,
            gradientShape: weights.shape, positions: x[1], width: x[2],
            classes: HeadLosses.classes(weights, values.forward.isClassMajor))
    }

    private init(
        _ values: HeadValues, isJoined: Bool, isClassMajor: Bool, gradientShape: [Int], positions: Int, width: Int,
        classes: Int
    ) {
        self.values = values
        self.isJoined = isJoined
        self.isClassMajor = isClassMajor
        self.gradientShape = gradientShape
        self.positions = positions
        self.width = width
        self.classes = classes
    }

    var ruleName: String { "linear" }

    /// There is one rule, which instantiates some classes at a time where Gram matrices cancel.
    var cost: SiteCost {
        let elements = Double(width) * Double(classes)
        return SiteCost(
            ghost: LinearSizes.gramMultiplyAdds(positions: positions, d: width, p: classes),
            instantiate: Double(positions) * elements, keep: .infinity, elements: elements)
    }

    func ghostNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        isJoined ? try values.gradients(in: &builder).norms : nil
    }

    func discardedNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        try ghostNorms(in: &builder)
    }

    func contraction(factors: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        let contraction = HeadContraction(forward: values.forward, intoClassMajor: isClassMajor)
        return try builder.view(try builder.emitAll(contraction, values.all + [factors])[0], gradientShape)
    }

    /// The same site with the output gradient kept, which has all rules of linear sites.
    private func linear(in builder: inout GraphBuilder) throws(GraphError) -> any Site {
        let gradient = try builder.emitAll(HeadLogitGradients(forward: values.forward), values.all)[0]
        let site = LinearSite(
            x: values.inputs[0], g: gradient, isTransposed: isClassMajor, gradientShape: gradientShape, in: builder)
        let rows = values.forward.rowsPerSample
        return isJoined && rows > 1 ? try site.joiningSamples(rows, in: &builder) : site
    }

    func perSampleGradients(in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        try linear(in: &builder).perSampleGradients(in: &builder)
    }

    func joiningSamples(_ count: Int, in builder: inout GraphBuilder) throws(GraphError) -> any Site {
        precondition(!isJoined && count == values.forward.rowsPerSample, "the head tells norms of other samples")
        return HeadSite(
            values, isJoined: true, isClassMajor: isClassMajor, gradientShape: gradientShape,
            positions: count * positions, width: width, classes: classes)
    }

    /// With reads of the same table: sum_{s,t} (g_s . x_t) gLogits[t, index_s].
    func innerProducts(with other: any Site, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        guard isClassMajor, isJoined else { return nil }
        if let other = other as? EmbeddingSite, other.rows == classes, other.width == width {
            return try builder.emitAll(
                HeadInnerProducts(forward: values.forward), values.all + [other.indices, other.gradients])[0]
        }
        return nil
    }

    func pulledBack(through operation: any Operation, inputShape: [Int], in builder: inout GraphBuilder)
        throws(GraphError) -> (any Site)?
    {
        let matrix = isClassMajor ? [classes, width] : [width, classes]
        guard let isFlipped = LinearSite.isFlipped(by: operation, inputShape: inputShape, rows: matrix[0]) else {
            return nil
        }
        return HeadSite(
            values, isJoined: isJoined, isClassMajor: isClassMajor != isFlipped, gradientShape: inputShape,
            positions: positions, width: width, classes: classes)
    }
}
