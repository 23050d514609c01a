import Kernels
import Operators
import TensorGraph

/// Which values of a graph are added to memory of the caller right where they are computed: the terms of outputs that
/// are sums of accumulating operations.
///
/// Such an output has no memory of its own, and the additions between its terms are not carried out.
struct SumSinks {
    /// One term of an output.
    struct Term {
        let output: String
        /// Whether it is the first to be computed, and what is in the caller's memory need not count.
        let isFirst: Bool
    }

    private(set) var terms: [ValueID: Term] = [:]
    /// The outputs themselves and the sums and views between them and their terms.
    private var sums: [ValueID: String] = [:]
    private(set) var outputs: Set<String> = []

    /// The output of which a value is a part.
    func sum(of value: ValueID) -> String? { terms[value]?.output ?? sums[value] }

    /// Whether a value is a sum or view of terms, which nobody computes.
    func isBetween(_ value: ValueID) -> Bool { sums[value] != nil }

    /// - Parameter names: outputs for which the caller has memory.
    init(_ graph: Graph, outputs names: Set<String>) {
        let readers = graph.readers
        for (name, value) in graph.outputs where names.contains(name) {
            var found: [ValueID] = []
            var between: [ValueID] = []
            guard Self.collect(value, graph, readers, &found, &between) else { continue }
            outputs.insert(name)
            for value in between { sums[value] = name }
            for (index, term) in found.sorted(by: { Self.number($0, graph) < Self.number($1, graph) }).enumerated() {
                terms[term] = Term(output: name, isFirst: index == 0)
            }
        }
    }

    /// Number of the node that computes a value.
    private static func number(_ value: ValueID, _ graph: Graph) -> Int {
        guard case .node(let number, _) = graph[value].source else { return -1 }
        return number
    }

    /// Finds the terms of a value; false if one of them cannot be accumulated or is read by others.
    private static func collect(
        _ value: ValueID, _ graph: Graph, _ readers: [Int], _ terms: inout [ValueID], _ between: inout [ValueID]
    ) -> Bool {
        guard readers[value.index] == 1, let node = graph.producer(of: value) else { return false }
        if node.operation is any AccumulatingOperation {
            terms.append(value)
            return true
        }
        between.append(value)
        if node.operation is View { return collect(node.inputs[0], graph, readers, &terms, &between) }
        guard let binary = node.operation as? Binary, binary.function == .add,
            node.inputs.allSatisfy({ graph.type(of: $0) == graph.type(of: value) })
        else { return false }
        return node.inputs.allSatisfy { collect($0, graph, readers, &terms, &between) }
    }
}
