public import Kernels
import Operators
public import TensorGraph

/// A graph made to need less memory: activations that many steps pass by unread are not kept but computed anew, by the
/// same operations from the same numbers, right before they are read again.
///
/// Where most memory is needed, the activation is given up whose bytes cost fewest operations, until the limit is kept:
/// an activation function's result before a normalisation's, and a product's last.
public struct Recomputation {
    public private(set) var graph: Graph
    /// Nodes that are computed once more.
    public private(set) var copyCount = 0
    /// The arena's bytes for the graph; above the limit if that cannot be kept.
    public private(set) var arenaBytes = 0

    /// What one transferred byte costs beside one floating-point operation, roughly: processors do some 25 operations
    /// in the time in which memory delivers a byte to them.
    private static let operationsPerByte = 25.0
    /// What starting a kernel costs, in operations.
    private static let operationsPerNode = 1e5
    /// How many nodes in a row are computed anew for one activation.
    private static let longestChain = 8

    private var sinks: SumSinks
    private var scratchBytes: [Int] = []
    private var costs: [Double] = []
    /// Copies may need what the limit leaves, but it is the other nodes that have to come below it.
    private var isCopy: [Bool]
    /// Bytes at the step that needs most; the arena has gaps in addition.
    private var liveBytes = 0

    /// - Parameters:
    ///   - limit: bytes that the arena should have at most.
    ///   - sums: outputs for which the caller has memory.
    /// - Throws: `ExecutionError` if an operation cannot be computed.
    public init(_ graph: Graph, within limit: Int, sums: Set<String>, pool: ThreadPool) throws(ExecutionError) {
        self.graph = graph
        sinks = SumSinks(graph, outputs: sums)
        isCopy = graph.nodes.map { _ in false }
        for node in graph.nodes {
            let kernel = try Plan.kernel(node, graph, pool)
            let bytes = (node.inputs + node.outputs).reduce(0) { $0 + graph.type(of: $1).byteCount }
            scratchBytes.append(kernel.scratchBytes)
            costs.append(kernel.operationCount + Self.operationsPerByte * Double(bytes) + Self.operationsPerNode)
        }
        measure()
        var best = self
        // In small stages, because what is best given up depends on how far one has to go.
        while arenaBytes > limit {
            let gaps = arenaBytes - liveBytes
            guard reduce(to: max(limit - gaps, liveBytes - liveBytes / 16)) else { break }
            measure()
            if arenaBytes < best.arenaBytes { best = self }
        }
        self = best
    }

    /// Lays the graph out.
    private mutating func measure() {
        let liveness = Liveness(graph, scratchBytes: scratchBytes, sinks: sinks)
        liveBytes = liveness.bytesPerStep(graph.nodes.count).max() ?? 0
        arenaBytes = BufferLayout(graph, scratchBytes: scratchBytes, sinks: sinks).arenaBytes
    }

    /// Gives up activations until no step needs more than `target` bytes.
    /// - Returns: false if that cannot be reached.
    private mutating func reduce(to target: Int) -> Bool {
        var refused: Set<ValueID> = []
        var liveness = Liveness(graph, scratchBytes: scratchBytes, sinks: sinks)
        var need = Need(liveness.bytesPerStep(graph.nodes.count), isCopy, target)
        while need.peakBytes > target {
            let activations = KeptActivations(graph, liveness)
            guard let found = best(at: need.peakStep, activations, refused) else { return false }
            var attempt = self
            attempt.copy(found.nodes, before: found.step)
            let after = Liveness(attempt.graph, scratchBytes: attempt.scratchBytes, sinks: sinks)
            let remaining = Need(after.bytesPerStep(attempt.graph.nodes.count), attempt.isCopy, target)
            if remaining.isLess(than: need) {
                (self, liveness, need) = (attempt, after, remaining)
            } else {
                refused.insert(found.value)
            }
        }
        return true
    }

    private mutating func copy(_ numbers: [Int], before step: Int) {
        graph = graph.computingAnew(numbers, before: step)
        copyCount += numbers.count { graph.nodes[$0].operation.viewedInput == nil }
        scratchBytes.insert(contentsOf: numbers.map { scratchBytes[$0] }, at: step)
        costs.insert(contentsOf: numbers.map { costs[$0] }, at: step)
        isCopy.insert(contentsOf: numbers.map { _ in true }, at: step)
    }

    /// The activation to give up at a step: most bytes for fewest operations.
    private func best(at peak: Int, _ activations: KeptActivations, _ refused: Set<ValueID>)
        -> (value: ValueID, nodes: [Int], step: Int)?
    {
        var best: (value: ValueID, nodes: [Int], step: Int)?
        var bestGain = 0.0
        for value in activations.kept(at: peak) where !refused.contains(value) {
            let step = activations.nextRead(of: value, after: peak)
            var chain = Chain(gain: graph.type(of: value).byteCount)
            guard extend(&chain, value, activations, peak, until: step, length: 1) else { continue }
            chain.nodes.formUnion(activations.views(of: value, before: step))
            let gain = Double(chain.gain) / chain.cost
            if gain > bestGain { (best, bestGain) = ((value, chain.nodes.sorted(), step), gain) }
        }
        return best
    }

    /// Adds the nodes that compute `value` from what is at hand at `step`.
    /// - Returns: false if it cannot be computed again.
    private func extend(
        _ chain: inout Chain, _ value: ValueID, _ activations: KeptActivations, _ peak: Int, until step: Int,
        length: Int
    ) -> Bool {
        guard let number = activations.number(ofNodeComputing: value) else { return false }
        let node = graph.nodes[number]
        guard !(node.operation is any RandomOperation),
            node.outputs.allSatisfy({ sinks.sum(of: $0) == nil && !activations.isOutput($0) })
        else { return false }
        guard chain.nodes.insert(number).inserted else { return true }
        chain.cost += costs[number]
        for input in node.inputs {
            guard let source = activations.root(of: input), !activations.isNeeded(source, at: peak, until: step) else {
                continue
            }
            let bytes = graph.type(of: source).byteCount
            if length < Self.longestChain, 4 * bytes > graph.type(of: value).byteCount {
                var longer = chain
                if extend(&longer, source, activations, peak, until: step, length: length + 1) {
                    chain = longer
                    chain.nodes.formUnion(activations.views(between: source, and: input))
                    continue
                }
            }
            chain.gain -= bytes
        }
        return chain.gain > 0
    }

    /// What giving up one activation takes.
    private struct Chain {
        /// Bytes at the step that needs most.
        var gain: Int
        var cost = 0.0
        var nodes: Set<Int> = []
    }

    /// How much memory the steps of a graph need, above a target.
    private struct Need {
        var peakStep = 0
        var peakBytes = 0
        /// Bytes above the target, over all steps but copies.
        var excess = 0

        init(_ bytes: [Int], _ isCopy: [Bool], _ target: Int) {
            for (step, bytes) in bytes.enumerated() {
                if bytes > peakBytes { (peakStep, peakBytes) = (step, bytes) }
                if !isCopy[step] { excess += max(bytes - target, 0) }
            }
        }

        func isLess(than other: Need) -> Bool {
            peakBytes <= other.peakBytes && excess <= other.excess
                && (peakBytes, excess) != (other.peakBytes, other.excess)
        }
    }
}
