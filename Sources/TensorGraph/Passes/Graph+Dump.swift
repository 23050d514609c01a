extension Graph {
    /// The graph as text, one node a line: `%7 f32[4,10] = MatMul(%3, fc.weight)  # node 'fc' (Gemm)`.
    public var dump: String {
        var lines: [String] = []
        for input in inputs {
            lines.append("input \(name(input.value)): \(type(of: input.value))\(batchNote(input.value))")
        }
        for parameter in parameters { lines.append("parameter \(name(parameter.value)): \(type(of: parameter.value))") }
        for node in nodes {
            let results = node.outputs.map { "\(name($0)) \(type(of: $0))\(batchNote($0))" }.joined(separator: ", ")
            let arguments = node.inputs.map(name).joined(separator: ", ")
            lines.append("\(results) = \(node.operation)(\(arguments))  # \(node.origin)")
        }
        for output in outputs { lines.append("output \(output.name) = \(name(output.value))") }
        return lines.joined(separator: "\n") + "\n"
    }

    private func batchNote(_ value: ValueID) -> String {
        switch self[value].batch {
        case .free: ""
        case .factor(let factor): " <\(factor)>"
        case .mixed: " <mixed>"
        }
    }

    private func name(_ value: ValueID) -> String {
        switch self[value].source {
        case .input(let name), .parameter(let name): name
        case .constant(let constant):
            constant.type.count == 1 ? "\(constant.floatValues[0])" : "const %\(value.index) \(constant.type)"
        case .node: "%\(value.index)"
        }
    }
}
