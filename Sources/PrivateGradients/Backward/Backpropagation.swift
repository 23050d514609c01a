import Operators
import TensorGraph

/// A use of a parameter, or of a tensor computed from parameters only, at a node that also sees data.
struct ParameterUse {
    /// The parameter or derived tensor.
    let value: ValueID
    /// Output of the node, by which layers are told apart.
    let output: ValueID
    let site: any Site
}

/// Reverse-mode differentiation of a loss that collects the book: a site wherever parameters meet data.
///
/// Gradients flow only along values that depend on a trainable parameter; nothing is computed for frozen parts.
struct Backpropagation {
    /// Gradients found so far, as contributions still to be added up.
    private var contributions: [ValueID: [ValueID]] = [:]
    private(set) var uses: [ParameterUse] = []

    /// - Parameters:
    ///   - forwardNodeCount: nodes of `builder.graph` that belong to the forward pass.
    ///   - seed: gradient of the objective with respect to `loss`, of its type.
    /// - Throws: `GraphError` `unsupported` naming the node without a gradient or per-sample rule.
    init(
        from loss: ValueID, seed: ValueID, forwardNodeCount: Int, in builder: inout GraphBuilder
    ) throws(GraphError) {
        contributions[loss] = [seed]
        for node in builder.graph.nodes[..<forwardNodeCount].reversed() {
            try visit(node, &builder)
        }
    }

    /// Takes every `count` consecutive samples as one.
    mutating func joinSamples(_ count: Int, in builder: inout GraphBuilder) throws(GraphError) {
        if count == 1 { return }
        for index in uses.indices {
            let use = uses[index]
            let joined = try use.site.joiningSamples(count, in: &builder)
            uses[index] = ParameterUse(value: use.value, output: use.output, site: joined)
        }
    }

    private mutating func visit(_ node: Node, _ builder: inout GraphBuilder) throws(GraphError) {
        guard node.outputs.contains(where: { contributions[$0] != nil }),
            node.outputs.contains(where: { builder.graph[$0].batch != .free })
        else { return }
        builder.origin = node.origin
        var gradients: [ValueID?] = []
        for output in node.outputs { gradients.append(try total(output, &builder)) }
        for (index, input) in node.inputs.enumerated() {
            let value = builder.graph[input]
            guard value.dependsOnParameter, value.type.elementType.isFloatingPoint else { continue }
            if value.batch == .free {
                let site = try node.operation.site(index, of: node, outputGradients: gradients, in: &builder)
                uses.append(ParameterUse(value: input, output: node.output, site: site))
            } else if let gradient = try node.operation.inputGradient(
                index, of: node, outputGradients: gradients, in: &builder)
            {
                contributions[input, default: []].append(gradient)
            }
        }
    }

    private mutating func total(_ value: ValueID, _ builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        guard let parts = contributions[value] else { return nil }
        var sum = parts[0]
        for part in parts.dropFirst() { sum = try builder.add(sum, part) }
        contributions[value] = [sum]
        return sum
    }
}

/// Pulls summed gradients of derived tensors back to the parameters that they are computed from.
///
/// Everything between is free of samples, so this ordinary differentiation runs once per step.
struct ParameterPullback {
    private var contributions: [ValueID: [ValueID]]

    init(
        _ gradients: [(value: ValueID, gradient: ValueID)], forwardNodeCount: Int, in builder: inout GraphBuilder
    ) throws(GraphError) {
        contributions = Dictionary(grouping: gradients, by: \.value).mapValues { $0.map(\.gradient) }
        for node in builder.graph.nodes[..<forwardNodeCount].reversed() {
            guard node.outputs.contains(where: { contributions[$0] != nil }),
                node.outputs.allSatisfy({ builder.graph[$0].batch == .free })
            else { continue }
            builder.origin = node.origin
            var outputs: [ValueID?] = []
            for output in node.outputs { outputs.append(try total(output, &builder)) }
            for (index, input) in node.inputs.enumerated() where builder.graph[input].dependsOnParameter {
                if let gradient = try node.operation.inputGradient(
                    index, of: node, outputGradients: outputs, in: &builder)
                {
                    contributions[input, default: []].append(gradient)
                }
            }
        }
    }

    /// The whole gradient of a value, or nil if none reaches it.
    mutating func total(_ value: ValueID, _ builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        guard let parts = contributions[value] else { return nil }
        var sum = parts[0]
        for part in parts.dropFirst() { sum = try builder.add(sum, part) }
        contributions[value] = [sum]
        return sum
    }
}
