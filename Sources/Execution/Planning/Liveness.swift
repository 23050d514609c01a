import TensorGraph

/// One stretch of arena memory and the steps during which it is needed.
struct Buffer {
    var bytes: Int
    var firstStep: Int
    var lastStep: Int
    var offset = 0

    /// What it takes in the arena.
    var reservedBytes: Int { (bytes + BufferLayout.alignment - 1) / BufferLayout.alignment * BufferLayout.alignment }
}

/// Which values of a graph share a buffer, by views and by overwriting, and when each buffer is needed.
///
/// A buffer is needed from the step that computes it to the last step that reads it or a view of it.
struct Liveness {
    private(set) var buffers: [Buffer] = []
    /// The buffer of each value that has one: neither a parameter or constant nor summed up in the caller's memory.
    private(set) var bufferOfValue: [Int?]
    /// The buffer of each step's scratch memory.
    private(set) var scratchBuffers: [Int] = []
    /// Where values without a buffer are, as far as a node computes them.
    private(set) var storage: [ValueID: Storage] = [:]

    /// - Parameter sinks: what is summed up in the caller's memory.
    init(_ graph: Graph, scratchBytes: [Int], sinks: SumSinks) {
        bufferOfValue = [Int?](repeating: nil, count: graph.values.count)
        let lastReads = Self.lastReads(graph)
        for (_, value) in graph.inputs {
            bufferOfValue[value.index] = newBuffer(
                graph.type(of: value).byteCount, from: -1, to: lastReads[value.index])
        }
        for (step, node) in graph.nodes.enumerated() {
            for (index, output) in node.outputs.enumerated() {
                let bytes = graph.type(of: output).byteCount
                let last = max(lastReads[output.index], step)
                if let sum = sinks.sum(of: output) {
                    storage[output] = .sum(sum)
                } else if index == 0, let viewed = node.operation.viewedInput {
                    let source = node.inputs[viewed]
                    if let buffer = bufferOfValue[source.index] {
                        bufferOfValue[output.index] = buffer
                        buffers[buffer].lastStep = max(buffers[buffer].lastStep, last)
                    } else {
                        storage[output] = storage[source] ?? .external(source, graph)
                    }
                } else if index == 0, node.outputs.count == 1, let buffer = overwritable(node, step, bytes) {
                    bufferOfValue[output.index] = buffer
                    buffers[buffer].lastStep = last
                } else {
                    bufferOfValue[output.index] = newBuffer(bytes, from: step, to: last)
                }
            }
        }
        scratchBuffers = scratchBytes.enumerated().map { newBuffer($1, from: $0, to: $0) }
    }

    private mutating func newBuffer(_ bytes: Int, from first: Int, to last: Int) -> Int {
        buffers.append(Buffer(bytes: bytes, firstStep: first, lastStep: last))
        return buffers.count - 1
    }

    /// The last step that reads each value; outputs are read after the last step.
    private static func lastReads(_ graph: Graph) -> [Int] {
        var last = [Int](repeating: -1, count: graph.values.count)
        for (step, node) in graph.nodes.enumerated() {
            for input in node.inputs { last[input.index] = step }
        }
        for output in graph.outputs { last[output.value.index] = graph.nodes.count }
        return last
    }

    /// The buffer of an input that dies at `step` and that the node may overwrite.
    private func overwritable(_ node: Node, _ step: Int, _ bytes: Int) -> Int? {
        for index in node.operation.overwritableInputs {
            guard let buffer = bufferOfValue[node.inputs[index].index] else { continue }
            // A second read of the same memory by this node would see what it has just overwritten.
            let reads = node.inputs.count { bufferOfValue[$0.index] == buffer }
            if buffers[buffer].lastStep == step, buffers[buffer].bytes == bytes, reads == 1 { return buffer }
        }
        return nil
    }

    /// Bytes that are needed at each step: what no placement can go below.
    func bytesPerStep(_ stepCount: Int) -> [Int] {
        var changes = [Int](repeating: 0, count: stepCount + 1)
        for buffer in buffers where stepCount > 0 {
            changes[max(buffer.firstStep, 0)] += buffer.reservedBytes
            changes[min(buffer.lastStep, stepCount - 1) + 1] -= buffer.reservedBytes
        }
        var live = 0
        return changes.dropLast().map { change in
            live += change
            return live
        }
    }
}
