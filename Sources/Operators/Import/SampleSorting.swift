import TensorGraph

/// Takes out sorting of the samples of a batch that is undone afterwards.
///
/// PyTorch sorts sequences by their lengths before it packs them, and exports that: a TopK of all lengths, Gather by its
/// indices, recurrent layers, and Gather by the inverse permutation. As long as what lies between treats each sample by
/// itself, which is checked of the graph without the sorting as of any other, permuting the samples and undoing it changes
/// nothing. A model that does not undo it keeps its TopK, which mixes samples.
struct SampleSorting {
    /// What may lie between: recurrent layers and changes of layout.
    private static let allowed: Set<String> = [
        "LSTM", "GRU", "RNN", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Concat", "Slice", "Cast", "Identity",
        "Dropout",
    ]
    private static let renaming: Set<String> = ["Cast", "Identity"]

    private var graph: ImportedGraph
    private let producers: [String: Int]

    private init(_ graph: ImportedGraph) {
        self.graph = graph
        producers = Dictionary(
            graph.nodes.enumerated().flatMap { index, node in node.outputs.map { ($0, index) } },
            uniquingKeysWith: { first, _ in first })
    }

    static func removed(from graph: ImportedGraph) -> ImportedGraph {
        var result = graph
        for node in graph.nodes where node.operatorType == "TopK" && node.domain.isEmpty {
            if let changed = SampleSorting(result).without(node) { result = changed }
        }
        return result
    }

    /// The graph without one sorting; nil if the sorting is not undone, or not a sorting of everything.
    private func without(_ sorting: ImportedNode) -> ImportedGraph? {
        guard sorting.inputs.count == 2, sorting.outputs.count == 2, !sorting.outputs[1].isEmpty,
            isList(sorting.inputs[0]), isSize(sorting.inputs[1], of: sorting.inputs[0])
        else { return nil }
        let orders = renamings(of: sorting.outputs[1])
        var inverses: Set<String> = []
        for node in graph.nodes where node.operatorType == "ScatterElements" && orders.contains(node.inputs[1]) {
            guard isInverse(node, of: sorting.inputs[0]) else { return nil }
            inverses.formUnion(renamings(of: node.outputs[0]))
        }
        var result = graph
        var sorted: Set<String> = sorting.outputs[0].isEmpty ? [] : [sorting.outputs[0]]
        for (index, node) in graph.nodes.enumerated() {
            let readsOrder = node.inputs.contains { orders.contains($0) || inverses.contains($0) }
            if !node.capturedNames.isDisjoint(with: orders.union(inverses).union(sorted)) { return nil }
            if readsOrder {
                if node.operatorType == "Gather", !orders.contains(node.inputs[0]), !inverses.contains(node.inputs[0]) {
                    // Sorted once, or back again.
                    if orders.contains(node.inputs[1]) == sorted.contains(node.inputs[0]) { return nil }
                    let axis = if case .int(let axis)? = node.attributes["axis"] { Int(axis) } else { 0 }
                    guard
                        sorted.contains(node.inputs[0]) || dependsOnData(node.inputs[0])
                            || isRepeated(node.inputs[0], axis: axis)
                    else { return nil }
                    if orders.contains(node.inputs[1]) { sorted.insert(node.outputs[0]) }
                    result.nodes[index] = Self.identity(node, node.inputs[0])
                } else if node.operatorType == "Shape" {
                    result.nodes[index].inputs = [sorting.inputs[0]]
                } else if !(Self.renaming.contains(node.operatorType) || node.operatorType == "ScatterElements") {
                    return nil
                }
            } else if node.inputs.contains(where: sorted.contains), node.operatorType != "Shape" {
                guard Self.allowed.contains(node.operatorType), node.domain.isEmpty,
                    node.inputs.allSatisfy({ sorted.contains($0) || !dependsOnData($0) })
                else { return nil }
                sorted.formUnion(node.outputs.filter { !$0.isEmpty })
            }
        }
        guard graph.outputs.allSatisfy({ !sorted.contains($0.name) && !orders.contains($0.name) }) else { return nil }
        if let place = graph.nodes.firstIndex(where: { $0.outputs == sorting.outputs }), !sorting.outputs[0].isEmpty {
            result.nodes[place].outputs[0] = ""
            var copy = Self.identity(sorting, sorting.inputs[0])
            copy.outputs = [sorting.outputs[0]]
            result.nodes.insert(copy, at: place)
        }
        return result
    }

    private static func identity(_ node: ImportedNode, _ input: String) -> ImportedNode {
        var copy = node
        copy.operatorType = "Identity"
        copy.inputs = [input]
        copy.attributes = [:]
        copy.fileNode?.inputs = [node.fileNode?.inputs.first ?? nil]
        return copy
    }

    private func producer(_ name: String) -> ImportedNode? { producers[name].map { graph.nodes[$0] } }

    /// A value under all names it has after casts.
    private func renamings(of name: String) -> Set<String> {
        var names: Set<String> = [name]
        for node in graph.nodes
        where Self.renaming.contains(node.operatorType) && node.inputs.contains(where: names.contains) {
            names.formUnion(node.outputs)
        }
        return names
    }

    /// Whether a name is computed from the sizes of `value` and constants only.
    private func isSize(_ name: String, of value: String) -> Bool {
        if let size = fixedSize(of: value), constant(name)?.int64Values == [size] { return true }
        guard let node = producer(name) else { return false }
        switch node.operatorType {
        case "Shape": return node.inputs == [value]
        case "Gather", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Cast", "Identity", "ReduceProd":
            return isSize(node.inputs[0], of: value)
        default: return false
        }
    }

    /// Whether a value is an input of the graph with one number for each sample.
    private func isList(_ name: String) -> Bool {
        if let node = producer(name) { return Self.renaming.contains(node.operatorType) && isList(node.inputs[0]) }
        return graph.inputs.contains { $0.name == name && $0.dimensions?.count == 1 }
    }

    /// The number of entries that the model fixes for a list, which is one of its inputs.
    private func fixedSize(of name: String) -> Int64? {
        if let node = producer(name) {
            return Self.renaming.contains(node.operatorType) ? fixedSize(of: node.inputs[0]) : nil
        }
        let dimensions = graph.inputs.first { $0.name == name }?.dimensions
        return if case .fixed(let size)? = dimensions?.first { Int64(size) } else { nil }
    }

    /// Whether a value is made as large as the batch: a table of rows would be read by the order instead. A constant is
    /// if all its entries on `axis` are equal, so that their order does not matter.
    private func isRepeated(_ name: String, axis: Int?) -> Bool {
        if let constant = constant(name) {
            guard let axis else { return false }
            let rank = constant.type.rank
            let factor = BatchFactor(axis: axis < 0 ? axis + rank : axis)
            guard (0..<rank).contains(factor.axis) else { return false }
            return BatchOperand(
                type: constant.type, factor: nil, constant: constant, batchSize: constant.type.shape[factor.axis]
            ).isUniform(along: factor, axis: factor.axis)
        }
        guard let node = producer(name) else { return false }
        switch node.operatorType {
        case "Expand", "ConstantOfShape": return true
        case "Cast", "Identity": return isRepeated(node.inputs[0], axis: axis)
        case "Slice", "Transpose": return isRepeated(node.inputs[0], axis: nil)
        default: return false
        }
    }

    /// zeros[order] = 0, 1, 2, ...: the permutation that undoes the order of `list`. What it is written into does not
    /// matter, for it overwrites all of that.
    private func isInverse(_ node: ImportedNode, of list: String) -> Bool {
        if case .string(let reduction)? = node.attributes["reduction"], reduction != "none" { return false }
        guard node.inputs.count == 3 else { return false }
        if let places = constant(node.inputs[2]), let size = fixedSize(of: list) {
            return places.type.count == Int(size) && places.int64Values == Array(0..<size)
                && constant(node.inputs[0])?.type.shape == [Int(size)]
        }
        guard let places = producer(node.inputs[2]), places.operatorType == "Range" else { return false }
        return producer(node.inputs[0])?.operatorType == "ConstantOfShape"
            && constant(places.inputs[0])?.int64Values == [0] && constant(places.inputs[2])?.int64Values == [1]
    }

    private func constant(_ name: String) -> Constant? {
        if let node = producer(name), node.operatorType == "Constant" {
            return if case .tensor(let constant, _)? = node.attributes["value"] { constant } else { nil }
        }
        return try? graph.initializers.first { $0.name == name }?.load()
    }

    /// Whether the elements of a value, not only its sizes, come from an input of the graph.
    private func dependsOnData(_ name: String) -> Bool {
        if graph.inputs.contains(where: { $0.name == name }) { return true }
        guard let node = producer(name), node.operatorType != "Shape" else { return false }
        return node.inputs.contains { !$0.isEmpty && dependsOnData($0) }
            || node.capturedNames.contains(where: dependsOnData)
    }
}
