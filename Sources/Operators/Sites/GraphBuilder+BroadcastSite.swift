import TensorGraph

extension GraphBuilder {
    /// The site of a parameter that is an operand of an elementwise operation: sample i's gradient is the sum of its
    /// element gradients over the axes along which the parameter was broadcast.
    ///
    /// - Parameters:
    ///   - operand: which input of `node` holds the parameter.
    ///   - elementGradient: gradient with respect to the broadcast operand, of the output's shape.
    mutating func broadcastSite(of node: Node, operand: Int, elementGradient: ValueID?) throws(GraphError) -> any Site {
        guard let elementGradient, let factor = graph[node.output].batch.factor else {
            throw GraphError.unsupported("no gradient of a sample reaches the parameter at input \(operand)").at(
                "\(node.origin)")
        }
        let shape = self.shape(of: node.inputs[operand])
        let gradients = try perSampleSum(elementGradient, factor, toBroadcastable: shape)
        return PerSampleSite(gradients: gradients, shape: shape, rule: "broadcast")
    }
}
