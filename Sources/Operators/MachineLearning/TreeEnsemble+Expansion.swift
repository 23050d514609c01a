import Kernels
import ONNXFormat
import TensorGraph

extension TreeEnsemble {
    @Sendable
    static func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        guard try node.elementType(ofInput: 0) != .float64 else {
            throw .unsupported("trees of float64 compare with thresholds that float32 cannot hold; cast them to float")
        }
        let scores = try node.emit(try TreeEnsemble(node), x)
        switch try node.int("post_transform", default: 0) {
        case 0: return [scores]
        case 1: return [try node.emit(Softmax(.softmax, axis: 1), scores)]
        case 2: return [try node.builder.unary(.sigmoid, scores)]
        case let transform: throw .unsupported("post_transform \(transform) is not implemented")
        }
    }

    private init(_ node: Expansion) throws(GraphError) {
        guard let targets = try node.int("n_targets"), targets > 0,
            let aggregate = Aggregate(rawValue: try node.int("aggregate_function", default: 1)),
            let roots = try node.ints("tree_roots"), let targetIDs = try node.ints("leaf_targetids"),
            let weights = try Self.tensor("leaf_weights", node)?.floatValues, weights.count == targetIDs.count,
            targetIDs.allSatisfy({ 0..<targets ~= $0 })
        else { throw .invalid("its targets, roots or leaves are not as TreeEnsemble needs them") }
        self.targets = targets
        self.aggregate = aggregate
        self.roots = roots
        leaves = zip(targetIDs, weights).map { Leaf(target: $0, weight: $1) }
        nodes = try Self.nodes(node)
        try checkBranches()
    }

    private static func tensor(_ name: String, _ node: Expansion) throws(GraphError) -> Constant? {
        switch node.node.attributes[name] {
        case nil: nil
        case .tensor(let constant, _)?: constant
        default: throw .invalid("attribute '\(name)' must be a tensor")
        }
    }

    private static func nodes(_ node: Expansion) throws(GraphError) -> [Node] {
        guard let modes = try tensor("nodes_modes", node)?.intValues,
            let splits = try tensor("nodes_splits", node)?.floatValues
        else { throw .invalid("attributes nodes_modes and nodes_splits must be given") }
        func list(_ name: String, default value: Int? = nil) throws(GraphError) -> [Int] {
            let given = try node.ints(name) ?? value.map { [Int](repeating: $0, count: modes.count) }
            guard let given, given.count == modes.count else {
                throw .invalid("attribute '\(name)' does not have one entry per node")
            }
            return given
        }
        let (features, missing) = (
            try list("nodes_featureids"), try list("nodes_missing_value_tracks_true", default: 0)
        )
        let (trueIDs, trueLeaves) = (try list("nodes_truenodeids"), try list("nodes_trueleafs"))
        let (falseIDs, falseLeaves) = (try list("nodes_falsenodeids"), try list("nodes_falseleafs"))
        // NaN ends the members of one node.
        let groups = try tensor("membership_values", node)?.floatValues.split(
            omittingEmptySubsequences: false, whereSeparator: \.isNaN)
        var members = (groups ?? []).map { Array($0) }[...]
        guard splits.count == modes.count else { throw .invalid("nodes_splits does not have one entry per node") }
        var nodes: [Node] = []
        for (index, mode) in modes.enumerated() {
            guard let comparison = Comparison(rawValue: mode) else { throw .invalid("\(mode) is no comparison") }
            nodes.append(
                Node(
                    feature: features[index], comparison: comparison, split: splits[index],
                    members: comparison == .member ? members.popFirst() ?? [] : [],
                    missingIsTrue: missing[index] != 0,
                    whenTrue: trueLeaves[index] != 0 ? .leaf(trueIDs[index]) : .node(trueIDs[index]),
                    whenFalse: falseLeaves[index] != 0 ? .leaf(falseIDs[index]) : .node(falseIDs[index])))
        }
        return nodes
    }

    /// Every way down ends at a leaf.
    private func checkBranches() throws(GraphError) {
        var isOpen = [Bool](repeating: false, count: nodes.count)
        var isDone = isOpen
        for root in roots {
            var path: [(node: Int, next: [Branch])] = []
            func enter(_ index: Int) throws(GraphError) {
                guard nodes.indices.contains(index), !isOpen[index] else {
                    throw .invalid("a branch leads to node \(index), which does not exist or leads back")
                }
                if isDone[index] { return }
                isOpen[index] = true
                path.append((index, [nodes[index].whenTrue, nodes[index].whenFalse]))
            }
            try enter(root)
            while !path.isEmpty {
                switch path[path.count - 1].next.popLast() {
                case .node(let index)?: try enter(index)
                case .leaf(let index)?:
                    guard leaves.indices.contains(index) else { throw .invalid("leaf \(index) does not exist") }
                case nil:
                    let node = path.removeLast().node
                    (isOpen[node], isDone[node]) = (false, true)
                }
            }
        }
    }
}
