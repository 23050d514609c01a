import TensorGraph

extension GraphBuilder {
    /// An elementwise node's output with one entry on `axis`, if every operand has equal entries there.
    mutating func collapsedElementwise(_ node: Node, axis: Int) throws(GraphError) -> ValueID? {
        let rank = shape(of: node.output).count
        var inputs: [ValueID] = []
        for input in node.inputs {
            let own = axis - (rank - shape(of: input).count)
            guard own >= 0 else {
                inputs.append(input)
                continue
            }
            guard let collapsed = try collapsed(input, axis: own) else { return nil }
            inputs.append(collapsed)
        }
        return try emitAll(node.operation, inputs)[0]
    }

    /// A convolution's output for one of several equal images, which lie on the first axis of its first operand.
    mutating func collapsedImages(_ node: Node, axis: Int) throws(GraphError) -> ValueID? {
        guard axis == 0, let image = try collapsed(node.inputs[0], axis: 0) else { return nil }
        return try emit(node.operation, image, node.inputs[1])
    }
}
