extension Graph {
    /// Checks what every pass must preserve: nodes in topological order, each value computed once, types as the shape
    /// rules say.
    /// - Throws: `GraphError` of kind `invalid` naming the node.
    public func checkWellFormed() throws(GraphError) {
        var isDefined = [Bool](repeating: false, count: values.count)
        for (index, value) in values.enumerated() {
            if case .node = value.source { continue }
            isDefined[index] = true
        }
        for (number, node) in nodes.enumerated() {
            for input in node.inputs where !isDefined[input.index] {
                throw GraphError.invalid("reads %\(input.index) before it is computed").at("\(node.origin)")
            }
            let types: [TensorType]
            do {
                types = try node.operation.outputTypes(for: node.inputs.map(type(of:)))
            } catch {
                throw error.at("\(node.origin)")
            }
            guard types == node.outputs.map(type(of:)) else {
                throw GraphError.invalid("\(node.operation) does not produce the types that it declares").at(
                    "\(node.origin)")
            }
            for (index, output) in node.outputs.enumerated() {
                guard case .node(number, index) = values[output.index].source, !isDefined[output.index] else {
                    throw GraphError.invalid("%\(output.index) is computed twice").at("\(node.origin)")
                }
                isDefined[output.index] = true
            }
        }
        for output in outputs where !isDefined[output.value.index] {
            throw GraphError.invalid("is never computed").at("output '\(output.name)'")
        }
    }
}
