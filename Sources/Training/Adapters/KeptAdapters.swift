import ONNXFormat
public import Operators
public import TensorGraph

/// Low-rank adapters that a file keeps as nodes beside its linear layers: y = x W + s (x A) B.
public struct KeptAdapters: Sendable {
    /// The graph as it was before adapters were added, with W + s A B in the place of every W.
    public let graph: ImportedGraph

    /// An adapter as the graph's nodes spell it out.
    private struct Found: Hashable {
        var down: String
        var up: String
        var scale: String?
    }

    /// Finds adapters as `LowRankAdapters` adds them. Where one weight has several, or some of its uses have none, each
    /// gets a tensor of its own.
    ///
    /// - Parameter isAdded: whether a tensor of that name belongs to an adapter.
    /// - Throws: `GraphError` for a weight whose products cannot be told apart although their adapters differ.
    public init(in graph: ImportedGraph, isAdded: (String) -> Bool) throws(GraphError) {
        let tensors = Dictionary(graph.initializers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        guard tensors.keys.contains(where: isAdded) else {
            self.graph = graph
            return
        }
        let index = GraphIndex(graph)
        var copy = graph
        var removed = Set<Int>()
        var names = Set(tensors.keys).union(graph.nodes.flatMap(\.outputs))
        for (position, weight) in graph.initializers.enumerated() where !isAdded(weight.name) {
            var groups: [(adapter: Found?, isTransposed: Bool, uses: [TensorUse])] = []
            for use in index.uses(of: weight.name) {
                let products = LinearProduct.all(of: weight, behind: [use], in: index) ?? []
                let found = products.map { Self.adapter(beside: $0.node, in: index, isAdded) }
                guard found.dropFirst().allSatisfy({ $0?.adapter == found[0]?.adapter }) else {
                    throw GraphError(
                        .unsupported,
                        "'\(weight.name)' is read by one node for several adapters, so that it cannot be merged")
                }
                for (product, beside) in zip(products, found) {
                    guard let beside else { continue }
                    removed.formUnion(beside.nodes)
                    copy.nodes[product.node].outputs[0] = graph.nodes[beside.nodes[0]].outputs[0]
                }
                let adapter = found.first??.adapter
                if let group = groups.firstIndex(where: { $0.adapter == adapter }) {
                    groups[group].uses.append(use)
                } else {
                    groups.append((adapter, products.first?.isTransposed ?? false, [use]))
                }
            }
            groups.sort { $0.adapter == nil && $1.adapter != nil }
            for (number, group) in groups.enumerated() {
                guard let adapter = group.adapter else { continue }
                var tensor = weight
                tensor.load = {
                    let (down, up) = (try tensors[adapter.down]!.load(), try tensors[adapter.up]!.load())
                    var values = try weight.load().floatValues
                    LowRankAdapters.add(
                        down.floatValues, up.floatValues, rank: down.type.shape[1],
                        scale: try adapter.scale.map { try tensors[$0]!.load().floatValues[0] } ?? 1, to: &values,
                        isTransposed: group.isTransposed)
                    return Constant(values, shape: weight.shape)
                }
                if number == 0 {
                    copy.initializers[position] = tensor
                    continue
                }
                while !names.insert(tensor.name).inserted { tensor.name += ".untied" }
                copy.initializers.append(tensor)
                for use in group.uses { copy.nodes[use.node].inputs[use.input] = tensor.name }
            }
        }
        copy.nodes = copy.nodes.enumerated().filter { !removed.contains($0.offset) }.map(\.element)
        let used = Set(copy.nodes.flatMap(\.inputs))
        copy.initializers.removeAll { isAdded($0.name) && !used.contains($0.name) }
        self.graph = copy
    }

    /// The adapter beside a product, with its nodes, the one that makes the result first; nil if there is none.
    private static func adapter(
        beside product: Int, in index: GraphIndex, _ isAdded: (String) -> Bool
    ) -> (adapter: Found, nodes: [Int])? {
        let node = index.graph.nodes[product]
        for use in index.uses(of: node.outputs[0]) where index.node(use).operatorType == "Add" {
            if let found = adapter(of: node, summedBy: use, in: index, isAdded) { return found }
        }
        return nil
    }

    /// The adapter whose result a sum adds to that of a product, with its nodes; nil if it adds something else.
    private static func adapter(
        of product: ImportedNode, summedBy use: TensorUse, in index: GraphIndex, _ isAdded: (String) -> Bool
    ) -> (adapter: Found, nodes: [Int])? {
        let (graph, makers) = (index.graph, index.producers)
        let sum = graph.nodes[use.node]
        guard sum.inputs.count == 2, let last = makers[sum.inputs[1 - use.input]] else { return nil }
        var nodes = [use.node, last]
        var up = last
        var scale: String?
        if graph.nodes[last].operatorType == "Mul" {
            scale = graph.nodes[last].inputs[1]
            guard isAdded(scale!), let made = makers[graph.nodes[last].inputs[0]] else { return nil }
            up = made
            nodes.append(up)
        }
        guard graph.nodes[up].operatorType == "MatMul", let down = makers[graph.nodes[up].inputs[0]],
            graph.nodes[down].operatorType == "MatMul", graph.nodes[down].inputs[0] == product.inputs[0]
        else { return nil }
        let found = Found(down: graph.nodes[down].inputs[1], up: graph.nodes[up].inputs[1], scale: scale)
        guard isAdded(found.down), isAdded(found.up) else { return nil }
        return (found, nodes + [down])
    }
}
