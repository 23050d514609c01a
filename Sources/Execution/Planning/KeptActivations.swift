import TensorGraph

/// Which computed values of a graph wait in memory for a later step, and how they could be had again. Views of a value
/// count as that value, their root.
struct KeptActivations {
    private let graph: Graph
    private var roots: [ValueID?]
    private var numbers: [Int?]
    /// Ascending steps that read each root or a view of it.
    private var reads: [[Int]]
    private var viewNodes: [[Int]]
    private var outputs: Set<ValueID> = []
    /// Roots that nodes compute.
    private var computed: [ValueID] = []

    init(_ graph: Graph, _ liveness: Liveness) {
        self.graph = graph
        roots = [ValueID?](repeating: nil, count: graph.values.count)
        numbers = [Int?](repeating: nil, count: graph.values.count)
        reads = [[Int]](repeating: [], count: graph.values.count)
        viewNodes = reads
        for (_, value) in graph.inputs { roots[value.index] = value }
        for (step, node) in graph.nodes.enumerated() {
            if let viewed = node.operation.viewedInput {
                guard let root = roots[node.inputs[viewed].index] else { continue }
                roots[node.output.index] = root
                viewNodes[root.index].append(step)
                continue
            }
            for input in node.inputs {
                if let root = roots[input.index], reads[root.index].last != step { reads[root.index].append(step) }
            }
            for output in node.outputs where liveness.bufferOfValue[output.index] != nil {
                roots[output.index] = output
                numbers[output.index] = step
                computed.append(output)
            }
        }
        for (_, value) in graph.outputs {
            if let root = roots[value.index] { outputs.insert(root) }
        }
    }

    func root(of value: ValueID) -> ValueID? { roots[value.index] }

    func number(ofNodeComputing root: ValueID) -> Int? { numbers[root.index] }

    func isOutput(_ value: ValueID) -> Bool { roots[value.index].map(outputs.contains) ?? false }

    /// Roots that are computed before `step` and read after it but not there.
    func kept(at step: Int) -> [ValueID] {
        computed.filter { value in
            let reads = reads[value.index]
            return numbers[value.index]! < step && (reads.last ?? -1) > step && !outputs.contains(value)
                && !reads.contains(step)
        }
    }

    func nextRead(of root: ValueID, after step: Int) -> Int { reads[root.index].first { $0 > step }! }

    /// Whether a root is in memory at `step` anyway and could stay there until `last`.
    func isNeeded(_ root: ValueID, at step: Int, until last: Int) -> Bool {
        outputs.contains(root) || (reads[root.index].last ?? -1) >= step
    }

    /// Nodes before `step` that make views of a root which it or later nodes read.
    func views(of root: ValueID, before step: Int) -> [Int] { viewNodes[root.index].filter { $0 < step } }

    /// Nodes that make the view `value` out of its root.
    func views(between root: ValueID, and value: ValueID) -> [Int] {
        var found: [Int] = []
        var current = value
        while current != root, case .node(let number, _) = graph[current].source,
            let viewed = graph.nodes[number].operation.viewedInput
        {
            found.append(number)
            current = graph.nodes[number].inputs[viewed]
        }
        return found
    }
}
