import TensorGraph

@testable import Execution

/// What is wrong with a layout, found from the graph alone: two tensors that are needed at the same time must not share
/// a byte, unless one is a view of the other or the node that computes one may overwrite the other.
struct LayoutCheck {
    private let graph: Graph
    private let layout: BufferLayout
    private let scratchBytes: [Int]
    /// For each value in the arena: the step that computes it (-1 for inputs), the last step at which its elements are
    /// read, also through views, and the value of which it is a view.
    private var spans: [ValueID: (first: Int, last: Int)] = [:]
    private var origin: [ValueID: ValueID] = [:]

    init(_ graph: Graph, _ layout: BufferLayout, scratchBytes: [Int]) {
        self.graph = graph
        self.layout = layout
        self.scratchBytes = scratchBytes
        for (_, input) in graph.inputs { spans[input] = (-1, -1) }
        for (step, node) in graph.nodes.enumerated() {
            for output in node.outputs { spans[output] = (step, step) }
            if let viewed = node.operation.viewedInput {
                origin[node.output] = origin[node.inputs[viewed]] ?? node.inputs[viewed]
            }
        }
        for (step, node) in graph.nodes.enumerated() { for input in node.inputs { read(input, at: step) } }
        for (_, output) in graph.outputs { read(output, at: graph.nodes.count) }
    }

    private mutating func read(_ value: ValueID, at step: Int) {
        for member in [value, origin[value]] {
            if let member, let span = spans[member] { spans[member] = (span.first, max(span.last, step)) }
        }
    }

    private func bytes(_ value: ValueID) -> Range<Int>? {
        guard case .arena(let offset)? = layout.storage[value] else { return nil }
        return offset..<offset + graph.type(of: value).byteCount
    }

    /// One line for each fault.
    var faults: [String] {
        var faults: [String] = []
        let values = spans.keys.sorted()
        for value in values {
            guard let own = bytes(value) else {
                if let root = origin[value], graph.producer(of: root) == nil, spans[root] == nil { continue }
                faults.append("\(value) has no memory")
                continue
            }
            if own.lowerBound % 64 != 0 { faults.append("\(value) is not aligned") }
            if own.upperBound > layout.arenaBytes { faults.append("\(value) leaves the arena") }
            for other in values where other > value {
                if let theirs = bytes(other), own.overlaps(theirs), !mayShare(value, other) {
                    faults.append("\(value) and \(other) share memory")
                }
            }
        }
        for (step, size) in scratchBytes.enumerated() where size > 0 {
            let own = layout.scratchOffsets[step]..<layout.scratchOffsets[step] + size
            if own.upperBound > layout.arenaBytes { faults.append("scratch of step \(step) leaves the arena") }
            for value in values where spans[value]!.first <= step && step <= spans[value]!.last {
                if let theirs = bytes(value), own.overlaps(theirs) {
                    faults.append("scratch of step \(step) lies in \(value)")
                }
            }
        }
        return faults
    }

    private func mayShare(_ left: ValueID, _ right: ValueID) -> Bool {
        if origin[left] ?? left == origin[right] ?? right { return true }
        let (early, late) = spans[left]!.first <= spans[right]!.first ? (left, right) : (right, left)
        let (before, after) = (spans[early]!, spans[late]!)
        if before.last < after.first { return true }
        guard before.last == after.first, before.first < after.first, bytes(early) == bytes(late),
            let node = graph.producer(of: late), node.outputs.count == 1
        else { return false }
        let alike = node.inputs.indices.filter { origin[node.inputs[$0]] ?? node.inputs[$0] == origin[early] ?? early }
        return alike.count == 1 && node.operation.overwritableInputs.contains(alike[0])
    }
}
