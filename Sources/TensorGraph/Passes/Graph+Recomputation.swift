extension Graph {
    /// This graph with copies of some nodes right before node number `step`. Nodes from there on read what the copies
    /// compute, so that nobody needs to keep the originals' results until then.
    ///
    /// - Parameter numbers: ascending numbers of nodes before `step`, none of whose outputs is an output of the graph.
    public func computingAnew(_ numbers: [Int], before step: Int) -> Graph {
        var result = self
        var copies: [ValueID: ValueID] = [:]
        func reading(_ inputs: [ValueID]) -> [ValueID] { inputs.map { copies[$0] ?? $0 } }
        result.nodes.removeLast(nodes.count - step)
        for number in numbers {
            let node = nodes[number]
            let inputs = reading(node.inputs)
            for output in node.outputs {
                copies[output] = ValueID(index: result.values.count)
                result.values.append(values[output.index])
            }
            result.nodes.append(
                Node(
                    operation: node.operation, inputs: inputs, outputs: node.outputs.map { copies[$0]! },
                    origin: node.origin))
        }
        for node in nodes[step...] {
            result.nodes.append(
                Node(
                    operation: node.operation, inputs: reading(node.inputs), outputs: node.outputs, origin: node.origin)
            )
        }
        result.numberSources(from: step)
        return result
    }
}
