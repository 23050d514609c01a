public import TensorGraph

/// A site whose per-sample gradients are already there: [B] + shape.
public struct PerSampleSite: Site {
    /// [B] + `gradientShape`.
    public let gradients: ValueID
    public let gradientShape: [Int]
    public let ruleName: String

    public init(gradients: ValueID, shape: [Int], rule: String) {
        self.gradients = gradients
        gradientShape = shape
        ruleName = rule
    }

    public var cost: SiteCost {
        SiteCost(ghost: nil, instantiate: 0, elements: Double(gradientShape.elementCount))
    }

    public func perSampleGradients(in builder: inout GraphBuilder) throws(GraphError) -> ValueID { gradients }

    /// ||G_i||^2: [B], float64.
    public func squaredNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        try builder.emit(SquaredNorms(), gradients)
    }

    public func contraction(factors: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        try builder.emit(WeightedSum(), factors, gradients)
    }

    public func joiningSamples(_ count: Int, in builder: inout GraphBuilder) throws(GraphError) -> any Site {
        let batch = builder.shape(of: gradients)[0] / count
        let apart = try builder.view(gradients, [batch, count] + gradientShape)
        return PerSampleSite(gradients: try builder.sum(apart, axes: [1]), shape: gradientShape, rule: ruleName)
    }

    public func merged(with others: [any Site], in builder: inout GraphBuilder) throws(GraphError) -> (any Site)? {
        var sum = gradients
        for other in others {
            guard let other = other as? PerSampleSite, other.gradientShape == gradientShape else { return nil }
            sum = try builder.add(sum, other.gradients)
        }
        return PerSampleSite(gradients: sum, shape: gradientShape, rule: ruleName)
    }

    public func pulledBack(through operation: any Operation, inputShape: [Int], in builder: inout GraphBuilder)
        throws(GraphError) -> (any Site)?
    {
        let batch = builder.shape(of: gradients)[0]
        let moved: ValueID
        switch operation {
        case is View:
            moved = try builder.view(gradients, [batch] + inputShape)
        case let operation as Transposition:
            let inverse = inputShape.indices.map { operation.permutation.firstIndex(of: $0)! + 1 }
            moved = try builder.transpose(gradients, [0] + inverse)
        default:
            return nil
        }
        return PerSampleSite(gradients: moved, shape: inputShape, rule: ruleName)
    }
}

extension Site {
    /// Instantiates every sample's gradient and adds up those that are joined.
    public func joiningSamples(_ count: Int, in builder: inout GraphBuilder) throws(GraphError) -> any Site {
        let instantiated = PerSampleSite(
            gradients: try perSampleGradients(in: &builder), shape: gradientShape, rule: ruleName)
        return try instantiated.joiningSamples(count, in: &builder)
    }
}
