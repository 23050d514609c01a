extension Graph {
    /// This graph without nodes that reach no output. Values keep their identity.
    public func pruned() -> Graph {
        var isNeeded = [Bool](repeating: false, count: values.count)
        for output in outputs { isNeeded[output.value.index] = true }
        var kept: [Node] = []
        for node in nodes.reversed() where node.outputs.contains(where: { isNeeded[$0.index] }) {
            for input in node.inputs { isNeeded[input.index] = true }
            kept.append(node)
        }
        var result = self
        result.nodes = kept.reversed()
        result.numberSources()
        return result
    }

    /// The values that some node or output reads.
    public var readers: [Int] {
        var count = [Int](repeating: 0, count: values.count)
        for node in nodes { for input in node.inputs { count[input.index] += 1 } }
        for output in outputs { count[output.value.index] += 1 }
        return count
    }

    /// Tells the outputs of the nodes from number `first` on where they come from.
    mutating func numberSources(from first: Int = 0) {
        for number in first..<nodes.count {
            for (index, output) in nodes[number].outputs.enumerated() {
                let value = values[output.index]
                values[output.index] = Value(
                    type: value.type, source: .node(number, output: index), batch: value.batch,
                    dependsOnParameter: value.dependsOnParameter)
            }
        }
    }
}
