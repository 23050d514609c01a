import TensorGraph

/// The clipping groups of a step: which parameters and targets share a factor, and the threshold of each group.
struct GroupAssignment {
    /// Parameters, group by group.
    let parameters: [[String]]
    /// Indices of targets, group by group.
    let targets: [[Int]]
    /// Thresholds in units of C; their squares add up to 1, or less where a group's parameters do not reach the loss.
    let shares: [Double]

    /// - Parameters:
    ///   - targets: each with parameters of one group only, unless gradients are not clipped.
    ///   - graph: the graph of the step, which lists the trainable parameters.
    init(_ targets: [ParameterTarget], options: ClippingOptions, in graph: Graph) {
        let order = targets.inForwardOrder
        switch options.style {
        case .flat, .layerWise:
            self.targets = options.style == .flat ? [order] : LayerGroups(targets, in: graph).groups
            parameters = self.targets.map { members in
                members.flatMap { targets[$0].parameters }.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
            }
            shares = Self.equalShares(parameters.count)
        case .parameterWise:
            // A parameter without a gradient takes no share of C.
            let reached = Set(targets.flatMap(\.parameters))
            parameters = graph.parameters.filter { reached.contains($0.name) }.map { [$0.name] }
            self.targets = parameters.map { names in order.filter { targets[$0].parameters[0] == names[0] } }
            shares = Self.equalShares(parameters.count)
        case .grouped:
            parameters = options.groups.map(\.parameters)
            self.targets = parameters.map { names in order.filter { names.contains(targets[$0].parameters[0]) } }
            let whole = ClippingOptions.norm(of: options.groups)
            shares = options.groups.map { $0.norm / whole }
        }
    }

    private static func equalShares(_ count: Int) -> [Double] {
        Array(repeating: 1 / Double(count).squareRoot(), count: count)
    }

    /// The group of every parameter where groups are given by parameters; nil where they follow from the graph.
    /// - Throws: `GraphError` naming a parameter that is in no group of the grouped style, or in two.
    static func groupOfParameter(_ options: ClippingOptions, in graph: Graph) throws(GraphError) -> [String: Int]? {
        var groups: [String: Int] = [:]
        switch options.style {
        case .flat, .layerWise: return nil
        case .parameterWise:
            for (index, parameter) in graph.parameters.enumerated() { groups[parameter.name] = index }
        case .grouped:
            for (index, group) in options.groups.enumerated() {
                for name in group.parameters {
                    guard groups.updateValue(index, forKey: name) == nil else {
                        throw GraphError(.invalid, "is in two clipping groups", at: "parameter '\(name)'")
                    }
                }
            }
            for (name, _) in graph.parameters where groups[name] == nil {
                throw GraphError(.invalid, "is in no clipping group", at: "parameter '\(name)'")
            }
        }
        return groups
    }
}
