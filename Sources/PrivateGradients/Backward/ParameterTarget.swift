import Operators
import TensorGraph

/// One tensor whose per-sample gradient has a norm of its own, with every place where it meets data.
///
/// Usually a parameter. Where parameters are first moved around in ways that keep norms (joined into one projection,
/// say) and used nowhere else, it is the moved tensor.
struct ParameterTarget {
    let value: ValueID
    /// Parameters whose gradients are told by this target's.
    let parameters: [String]
    var sites: [any Site]
    /// Outputs of the nodes at which the sites lie.
    var outputs: [ValueID]
}

extension ParameterTarget {
    /// Brings the uses found by a backward pass to the parameters themselves.
    /// - Throws: `GraphError` `unsupported` where parameters reach data through arithmetic that has no per-sample rule.
    static func collect(_ uses: [ParameterUse], in builder: inout GraphBuilder) throws(GraphError) -> [ParameterTarget] {
        var targets: [ParameterTarget] = []
        for use in uses.reversed() {
            var value = use.value
            var site = use.site
            while let (input, earlier) = try pulledBack(site, from: value, in: &builder) {
                value = input
                site = earlier
            }
            if let index = targets.firstIndex(where: { $0.value == value }) {
                targets[index].sites.append(site)
                targets[index].outputs.append(use.output)
            } else {
                let parameters = try parameters(of: value, in: builder)
                targets.append(
                    ParameterTarget(value: value, parameters: parameters, sites: [site], outputs: [use.output]))
            }
        }
        try checkDisjoint(targets, in: builder)
        return targets
    }

    /// The site seen from before the node that computes `value`, if the site can say it.
    private static func pulledBack(_ site: any Site, from value: ValueID, in builder: inout GraphBuilder)
        throws(GraphError) -> (ValueID, any Site)?
    {
        guard let node = builder.graph.producer(of: value) else { return nil }
        let sources = node.inputs.filter { builder.graph[$0].dependsOnParameter }
        guard sources.count == 1, node.inputs.count == 1 else { return nil }
        builder.origin = node.origin
        if node.operation is Convert { return (sources[0], site) }
        let shape = builder.shape(of: sources[0])
        if let earlier = try site.pulledBack(through: node.operation, inputShape: shape, in: &builder) {
            return (sources[0], earlier)
        }
        let instantiated = PerSampleSite(
            gradients: try site.perSampleGradients(in: &builder), shape: site.gradientShape, rule: site.ruleName)
        return try instantiated.pulledBack(through: node.operation, inputShape: shape, in: &builder).map {
            (sources[0], $0)
        }
    }

    /// The parameters that a derived tensor is made of, provided that every element of it is one element of one of them.
    private static func parameters(of value: ValueID, in builder: GraphBuilder) throws(GraphError) -> [String] {
        if case .parameter(let name) = builder.graph[value].source { return [name] }
        guard let node = builder.graph.producer(of: value) else { return [] }
        let types = node.inputs.map(builder.type(of:))
        let move = node.operation as? any ElementMove
        guard move?.isInjective(inputs: types, constants: node.inputs.map(builder.constant)) == true else {
            throw GraphError.unsupported(
                "computes with parameters before they meet data in a way that has no per-sample rule; freeze them with --frozen"
            ).at("\(node.origin)")
        }
        var names: [String] = []
        for input in node.inputs where builder.graph[input].dependsOnParameter {
            names += try parameters(of: input, in: builder)
        }
        return names
    }

    /// Norms of targets add up only if no parameter is seen by two of them, or twice by one.
    private static func checkDisjoint(_ targets: [ParameterTarget], in builder: GraphBuilder) throws(GraphError) {
        var seen: Set<String> = []
        for target in targets {
            for name in target.parameters where !seen.insert(name).inserted {
                throw GraphError(
                    .unsupported,
                    "is used both as it is and as a part of another tensor, which has no per-sample rule; freeze it with --frozen",
                    at: "parameter '\(name)'")
            }
        }
    }
}
