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

    public func contraction(factors: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        try builder.emit(WeightedSum(), factors, gradients)
    }

    public func merged(with others: [any Site], in builder: inout GraphBuilder) throws(GraphError) -> (any Site)? {
        var sum = gradients
        for case let other in others {
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
        case let operation as Slicing where operation.steps.allSatisfy { $0 == 1 }:
            moved = try padded(operation.starts, to: inputShape, in: &builder)
        default:
            return nil
        }
        return PerSampleSite(gradients: moved, shape: inputShape, rule: ruleName)
    }

    /// The gradients with zeros around them, so that they lie at `starts` of a tensor of `shape`.
    private func padded(_ starts: [Int], to shape: [Int], in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        var value = gradients
        for axis in shape.indices {
            let current = builder.shape(of: value)
            let lengths = [starts[axis], shape[axis] - starts[axis] - current[axis + 1]]
            let zeros = lengths.map { length in
                var padding = current
                padding[axis + 1] = length
                return length == 0 ? nil : builder.addConstant(Constant(TensorType(.float32, padding)) { _ in })
            }
            value = try builder.concatenate([zeros[0], value, zeros[1]].compactMap { $0 }, axis: axis + 1)
        }
        return value
    }
}
