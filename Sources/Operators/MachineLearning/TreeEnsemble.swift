import Kernels
public import TensorGraph

/// Decision trees whose leaves are combined target by target (`TreeEnsemble` of the domain `ai.onnx.ml`): features
/// [N, F] to scores [N, targets]. Constant between its thresholds, so no gradient flows through it.
public struct TreeEnsemble: ExecutableOperation {
    enum Comparison: Int, Hashable, Sendable {
        case atMost, less, atLeast, greater, equal, unequal, member
    }

    enum Aggregate: Int, Hashable, Sendable { case average, sum, min, max }

    /// Where a branch leads.
    enum Branch: Hashable, Sendable {
        case node(Int)
        case leaf(Int)
    }

    struct Node: Hashable, Sendable {
        var feature: Int
        var comparison: Comparison
        var split: Float
        var members: [Float]
        var missingIsTrue: Bool
        var whenTrue: Branch
        var whenFalse: Branch
    }

    struct Leaf: Hashable, Sendable {
        var target: Int
        var weight: Float
    }

    let nodes: [Node]
    let leaves: [Leaf]
    let roots: [Int]
    let targets: Int
    let aggregate: Aggregate

    public var description: String { "\(roots.count) trees" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let shape = inputs[0].shape
        guard inputs[0].elementType == .float32, shape.count == 2,
            nodes.allSatisfy({ 0..<shape[1] ~= $0.feature })
        else { throw .invalid("\(inputs[0]) has not the features that the trees compare") }
        return [inputs[0].with(shape: [shape[0], targets])]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.along([1], inputs[0], "compares features")]
    }

    public func inputGradient(
        _ index: Int, of node: TensorGraph.Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? { nil }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (rows, features) = (inputs[0].shape[0], inputs[0].shape[1])
        let trees = self
        return Kernel(operationCount: Double(rows * roots.count)) { arguments in
            let (x, out) = (arguments.input(0, as: Float.self), arguments.output(0, as: Float.self))
            arguments.pool.forRanges(rows, grain: 8) { range, _ in
                for row in range {
                    let scores = UnsafeMutableBufferPointer(start: out + row * trees.targets, count: trees.targets)
                    trees.evaluate(UnsafeBufferPointer(start: x + row * features, count: features), into: scores)
                }
            }
        }
    }

    private func evaluate(_ x: UnsafeBufferPointer<Float>, into scores: UnsafeMutableBufferPointer<Float>) {
        scores.update(repeating: 0)
        var isReached = [Bool](repeating: false, count: targets)
        for root in roots {
            var place = root
            var reached: Leaf?
            while reached == nil {
                switch nodes[place].branch(for: x[nodes[place].feature]) {
                case .node(let next): place = next
                case .leaf(let index): reached = leaves[index]
                }
            }
            let leaf = reached!
            let isFirst = !isReached[leaf.target]
            isReached[leaf.target] = true
            switch aggregate {
            case .average: scores[leaf.target] += leaf.weight / Float(roots.count)
            case .sum: scores[leaf.target] += leaf.weight
            case .min: scores[leaf.target] = isFirst ? leaf.weight : Swift.min(scores[leaf.target], leaf.weight)
            case .max: scores[leaf.target] = isFirst ? leaf.weight : Swift.max(scores[leaf.target], leaf.weight)
            }
        }
    }
}

extension TreeEnsemble.Node {
    fileprivate func branch(for x: Float) -> TreeEnsemble.Branch {
        let holds =
            switch comparison {
            case _ where x.isNaN: missingIsTrue
            case .atMost: x <= split
            case .less: x < split
            case .atLeast: x >= split
            case .greater: x > split
            case .equal: x == split
            case .unequal: x != split
            case .member: members.contains(x)
            }
        return holds ? whenTrue : whenFalse
    }
}
