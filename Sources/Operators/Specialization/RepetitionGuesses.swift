import TensorGraph

/// Nodes that repeat something as often as a baked batch is large.
///
/// With only one batch size to look at, three rows of a grid look like a token that is repeated for three samples. Such a
/// value is first taken for one copy per sample. If samples meet behind it before any of the model's inputs comes in,
/// it was not.
struct RepetitionGuesses {
    /// First outputs of the nodes whose results are not copies per sample.
    private var wrong: Set<String> = []
    /// First outputs of the nodes whose results have been taken for copies per sample, by value.
    private var taken: [ValueID: String] = [:]

    func allows(_ node: ImportedNode) -> Bool { node.outputs.first.map(wrong.contains) != true }

    /// Notes a node that found samples in values without any.
    mutating func note(_ node: ImportedNode, from inputs: [ValueID], to outputs: [ValueID], in graph: Graph) {
        guard let output = outputs.first, graph[output].batch.factor != nil,
            inputs.allSatisfy({ graph[$0].batch == .free })
        else { return }
        taken[output] = node.outputs[0]
    }

    /// Takes back the guesses that lead to places where samples meet; false if there are none to take back.
    mutating func withdraw(behind mixingNodes: [MixingNode], in graph: Graph) -> Bool {
        guard !taken.isEmpty else { return false }
        var holdsData = [Bool](repeating: false, count: graph.values.count)
        for (_, input) in graph.inputs { holdsData[input.index] = true }
        for node in graph.nodes where node.inputs.contains(where: { holdsData[$0.index] }) {
            for output in node.outputs { holdsData[output.index] = true }
        }
        var leads = [Bool](repeating: false, count: graph.values.count)
        for node in mixingNodes { leads[node.value.index] = true }
        let meetings = Set(mixingNodes.map(\.value))
        for node in graph.nodes.reversed() where node.outputs.contains(where: { leads[$0.index] }) {
            guard node.outputs.contains(where: { !holdsData[$0.index] || meetings.contains($0) }) else { continue }
            for input in node.inputs where !holdsData[input.index] { leads[input.index] = true }
        }
        let found = taken.filter { leads[$0.key.index] }.values
        taken = [:]
        let count = wrong.count
        wrong.formUnion(found)
        return wrong.count > count
    }
}
