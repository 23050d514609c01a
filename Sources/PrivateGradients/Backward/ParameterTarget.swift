import Operators
import TensorGraph

/// One tensor whose per-sample gradient has a norm of its own, with every place where it meets data.
///
/// Usually a parameter. Where parameters are first moved around in ways that keep norms (joined into one projection,
/// cut into parts), it is the moved tensor, as long as no element of a parameter is seen by two targets.
struct ParameterTarget {
    let value: ValueID
    /// What it is made of: parameters, or what is cut out of them.
    let parts: [Part]
    var sites: [any Site]
    /// Outputs of the nodes at which the sites lie.
    var outputs: [ValueID]

    struct Part {
        let parameter: String
        /// The parameter, or the result of the node by which this target reads it.
        let value: ValueID
    }

    /// Parameters whose gradients are told by this target's.
    var parameters: [String] { parts.map(\.parameter).reduce(into: []) { if !$0.contains($1) { $0.append($1) } } }
}

extension ParameterTarget {
    /// Brings the uses found by a backward pass to tensors whose squared norms add up: to the parameters themselves or
    /// to rearrangements of them.
    ///
    /// Through arithmetic that keeps no norms (products of parameters, normalised weights, a table read at constant
    /// places) sites are instantiated, and their gradients pulled back sample by sample.
    /// - Parameter groups: parameters of different groups get different targets; nil if they may have one together.
    /// - Throws: `GraphError` `unsupported` where an operation on parameters has no gradient.
    static func collect(_ uses: [ParameterUse], groups: [String: Int]?, in builder: inout GraphBuilder)
        throws(GraphError) -> [ParameterTarget]
    {
        var collector = Collector()
        let found = try collector.targets(uses, in: &builder)
        collector.shared = sharedParameters(found, in: builder.graph)
        if let groups {
            for target in found where Set(target.parameters.map { groups[$0] }).count > 1 {
                collector.shared.formUnion(target.parameters)
            }
        }
        return collector.shared.isEmpty ? found : try collector.targets(uses, in: &builder)
    }

    /// The uses as they are, target by target: enough for sums of gradients, which are pulled back once afterwards.
    static func unmoved(_ uses: [ParameterUse], in builder: GraphBuilder) -> [ParameterTarget] {
        var targets: [ParameterTarget] = []
        for use in uses.reversed() {
            targets.append(use.site, at: use.value, output: use.output) {
                parametersBehind(use.value, in: builder.graph).map { Part(parameter: $0, value: use.value) }
            }
        }
        return targets
    }

    /// Parameters of which some element is seen by two targets, or twice by one: their norms do not add up.
    private static func sharedParameters(_ targets: [ParameterTarget], in graph: Graph) -> Set<String> {
        var seen: [String: [ValueID]] = [:]
        var shared: Set<String> = []
        for part in targets.flatMap(\.parts) {
            let others = seen[part.parameter, default: []]
            if !others.allSatisfy({ isDisjoint($0, part.value, in: graph) }) { shared.insert(part.parameter) }
            seen[part.parameter] = others + [part.value]
        }
        return shared
    }

    /// True if both values are slices of one tensor without a common element.
    private static func isDisjoint(_ left: ValueID, _ right: ValueID, in graph: Graph) -> Bool {
        guard let first = graph.producer(of: left), let second = graph.producer(of: right),
            first.inputs == second.inputs, let first = first.operation as? Slicing,
            let second = second.operation as? Slicing
        else { return false }
        return first.starts.indices.contains { axis in
            !first.entries(of: axis).overlaps(second.entries(of: axis))
        }
    }

    /// The parameters that a value is computed from.
    private static func parametersBehind(_ value: ValueID, in graph: Graph) -> [String] {
        if case .parameter(let name) = graph[value].source { return [name] }
        guard let node = graph.producer(of: value) else { return [] }
        var names: [String] = []
        for input in node.inputs where graph[input].dependsOnParameter {
            for name in parametersBehind(input, in: graph) where !names.contains(name) { names.append(name) }
        }
        return names
    }
}

extension Slicing {
    /// The entries of an axis between which all chosen ones lie.
    fileprivate func entries(of axis: Int) -> Range<Int> {
        if counts[axis] == 0 { return 0..<0 }
        let last = starts[axis] + (counts[axis] - 1) * steps[axis]
        return min(starts[axis], last)..<max(starts[axis], last) + 1
    }
}

/// Follows sites from the data towards the parameters.
private struct Collector {
    /// Parameters for which only they themselves are a target.
    var shared: Set<String> = []

    func targets(_ uses: [ParameterUse], in builder: inout GraphBuilder) throws(GraphError) -> [ParameterTarget] {
        var targets: [ParameterTarget] = []
        for use in uses.reversed() {
            try follow(use.site, at: use.value, output: use.output, into: &targets, in: &builder)
        }
        return targets
    }

    private func follow(
        _ site: any Site, at value: ValueID, output: ValueID, into targets: inout [ParameterTarget],
        in builder: inout GraphBuilder
    ) throws(GraphError) {
        guard let node = builder.graph.producer(of: value) else {
            guard case .parameter(let name) = builder.graph[value].source else { return }
            targets.append(site, at: value, output: output) { [.init(parameter: name, value: value)] }
            return
        }
        builder.origin = node.origin
        if let earlier = try moved(site, before: node, in: &builder) {
            return try follow(earlier, at: node.inputs[0], output: output, into: &targets, in: &builder)
        }
        if let parts = rearranged(value, in: builder), shared.isDisjoint(with: parts.map(\.parameter)) {
            targets.append(site, at: value, output: output) { parts }
            return
        }
        let pullback = PerSamplePullback(
            node: node, value: value, gradients: try site.perSampleGradients(in: &builder))
        for (index, input) in node.inputs.enumerated() where builder.graph[input].dependsOnParameter {
            guard let gradients = try pullback.gradients(ofInput: index, in: &builder) else { continue }
            let earlier = PerSampleSite(gradients: gradients, shape: builder.shape(of: input), rule: site.ruleName)
            try follow(earlier, at: input, output: output, into: &targets, in: &builder)
        }
    }

    /// The site seen from before a node that moves the elements of one tensor, if the site can say it.
    private func moved(_ site: any Site, before node: Node, in builder: inout GraphBuilder) throws(GraphError)
        -> (any Site)?
    {
        guard node.inputs.count == 1 else { return nil }
        if node.operation is Convert { return site }
        let shape = builder.shape(of: node.inputs[0])
        if let earlier = try site.pulledBack(through: node.operation, inputShape: shape, in: &builder) {
            return earlier
        }
        guard node.operation is View || node.operation is Transposition else { return nil }
        let instantiated = PerSampleSite(
            gradients: try site.perSampleGradients(in: &builder), shape: site.gradientShape, rule: site.ruleName)
        return try instantiated.pulledBack(through: node.operation, inputShape: shape, in: &builder)
    }

    /// What a tensor is made of, if every element of it is an element of a parameter; a parameter that enters twice has
    /// two parts. Nil if the tensor is more than a rearrangement.
    private func rearranged(_ value: ValueID, in builder: GraphBuilder) -> [ParameterTarget.Part]? {
        if case .parameter(let name) = builder.graph[value].source {
            return [ParameterTarget.Part(parameter: name, value: value)]
        }
        guard let node = builder.graph.producer(of: value), let move = node.operation as? any ElementMove,
            move.isInjective(
                inputs: node.inputs.map(builder.type(of:)), constants: node.inputs.map(builder.constant))
        else { return nil }
        var parts: [ParameterTarget.Part] = []
        // Float inputs are the data of a move; a frozen part has no share in the gradient's norm.
        for input in node.inputs where builder.type(of: input).elementType.isFloatingPoint {
            guard let own = rearranged(input, in: builder) else { return nil }
            let isParameter = own.count == 1 && own[0].value == input && node.inputs.count == 1
            parts += isParameter ? [ParameterTarget.Part(parameter: own[0].parameter, value: value)] : own
        }
        return parts
    }
}

extension [ParameterTarget] {
    /// Adds a site to the target of `value`, or a new target.
    fileprivate mutating func append(
        _ site: any Site, at value: ValueID, output: ValueID, parts: () -> [ParameterTarget.Part]
    ) {
        if let index = firstIndex(where: { $0.value == value }) {
            self[index].sites.append(site)
            self[index].outputs.append(output)
        } else {
            append(ParameterTarget(value: value, parts: parts(), sites: [site], outputs: [output]))
        }
    }
}
