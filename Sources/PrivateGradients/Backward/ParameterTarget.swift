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
    ///
    /// Rearrangements of one parameter are undone on the site, which keeps its norm rule. A tensor into which several
    /// parameters are moved element by element keeps the norm as it is. Through any other arithmetic the per-sample
    /// gradients are instantiated and pulled back, node by node.
    /// - Throws: `GraphError` `unsupported` where parameters reach data through a node without a gradient.
    static func collect(_ uses: [ParameterUse], in builder: inout GraphBuilder) throws(GraphError) -> [ParameterTarget] {
        var targets: [ParameterTarget] = []
        for use in uses.reversed() { try add(use, to: &targets, in: &builder) }
        while let index = indexToExpand(targets, in: builder) {
            let target = targets.remove(at: index)
            let node = builder.graph.producer(of: target.value)!
            builder.origin = node.origin
            for (site, output) in zip(target.sites, target.outputs) {
                let instantiated = PerSampleSite(
                    gradients: try site.perSampleGradients(in: &builder), shape: site.gradientShape, rule: site.ruleName)
                do {
                    for (input, own) in try instantiated.pulledBack(to: node, in: &builder) {
                        try add(ParameterUse(value: input, output: output, site: own), to: &targets, in: &builder)
                    }
                } catch {
                    throw error.at("\(node.origin)")
                }
            }
        }
        return targets
    }

    private static func add(_ use: ParameterUse, to targets: inout [ParameterTarget], in builder: inout GraphBuilder)
        throws(GraphError)
    {
        var value = use.value
        var site = use.site
        while let (input, earlier) = try rearranged(site, from: value, in: &builder) {
            value = input
            site = earlier
        }
        if let index = targets.firstIndex(where: { $0.value == value }) {
            targets[index].sites.append(site)
            targets[index].outputs.append(use.output)
        } else {
            targets.append(
                ParameterTarget(
                    value: value, parameters: parameters(of: value, in: builder) ?? [], sites: [site],
                    outputs: [use.output]))
        }
    }

    /// The site seen from before the node that computes `value`, if the node only rearranges one tensor.
    private static func rearranged(_ site: any Site, from value: ValueID, in builder: inout GraphBuilder)
        throws(GraphError) -> (ValueID, any Site)?
    {
        guard let node = builder.graph.producer(of: value), node.inputs.count == 1 else { return nil }
        builder.origin = node.origin
        if node.operation is Convert { return (node.inputs[0], site) }
        let shape = builder.shape(of: node.inputs[0])
        if let earlier = try site.pulledBack(through: node.operation, inputShape: shape, in: &builder) {
            return (node.inputs[0], earlier)
        }
        guard node.operation is View || node.operation is Transposition else { return nil }
        let instantiated = PerSampleSite(
            gradients: try site.perSampleGradients(in: &builder), shape: site.gradientShape, rule: site.ruleName)
        return try instantiated.pulledBack(through: node.operation, inputShape: shape, in: &builder).map {
            (node.inputs[0], $0)
        }
    }

    /// The parameters that a derived tensor is made of if every element of it is one element of one of them, else nil.
    private static func parameters(of value: ValueID, in builder: GraphBuilder) -> [String]? {
        if case .parameter(let name) = builder.graph[value].source { return [name] }
        guard let node = builder.graph.producer(of: value) else { return [] }
        let types = node.inputs.map(builder.type(of:))
        let move = node.operation as? any ElementMove
        guard move?.isInjective(inputs: types, constants: node.inputs.map(builder.constant)) == true else { return nil }
        var names: [String] = []
        for input in node.inputs where builder.graph[input].dependsOnParameter {
            guard let own = parameters(of: input, in: builder) else { return nil }
            names += own
        }
        return names
    }

    /// The latest derived tensor that cannot stand for its parameters: it is no mere rearrangement of them, or norms
    /// would not add up because a parameter is seen by another target too, or twice by this one.
    private static func indexToExpand(_ targets: [ParameterTarget], in builder: GraphBuilder) -> Int? {
        var count: [String: Int] = [:]
        for target in targets { for name in target.parameters { count[name, default: 0] += 1 } }
        let candidates = targets.indices.filter { index in
            guard builder.graph.producer(of: targets[index].value) != nil else { return false }
            let parameters = targets[index].parameters
            return parameters.isEmpty || parameters.contains { count[$0]! > 1 }
        }
        return candidates.max { targets[$0].value < targets[$1].value }
    }
}
