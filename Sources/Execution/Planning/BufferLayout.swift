import TensorGraph

/// Where a value's bytes are during a run.
enum Storage: Hashable {
    /// Byte offset in the arena.
    case arena(Int)
    /// Memory of the caller: a parameter.
    case parameter(String)
    case constant(ValueID)
    /// Memory of the caller: an output that is summed up there.
    case sum(String)
}

/// One stretch of arena memory and the steps during which it is needed.
struct Buffer {
    var bytes: Int
    var firstStep: Int
    var lastStep: Int
    var offset = 0
}

/// Assigns arena memory to the values of a graph: liveness, views and overwriting, then offsets.
///
/// A buffer is needed from the step that computes it to the last step that reads it or a view of it. Buffers whose
/// steps do not overlap share memory.
struct BufferLayout {
    /// Alignment of every buffer: one cache line, which also suits vector loads.
    static let alignment = 64

    private(set) var storage: [ValueID: Storage] = [:]
    private(set) var scratchOffsets: [Int] = []
    private(set) var arenaBytes = 0

    /// - Parameter sinks: what is summed up in the caller's memory.
    init(_ graph: Graph, scratchBytes: [Int], sinks: SumSinks) {
        var buffers: [Buffer] = []
        var bufferOfValue = [Int?](repeating: nil, count: graph.values.count)
        let lastReads = Self.lastReads(graph)

        func newBuffer(_ bytes: Int, from first: Int, to last: Int) -> Int {
            buffers.append(Buffer(bytes: bytes, firstStep: first, lastStep: last))
            return buffers.count - 1
        }

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
                        storage[output] = storage[source] ?? Self.external(source, graph)
                    }
                } else if index == 0, node.outputs.count == 1,
                    let buffer = Self.overwritable(node, step, bytes, bufferOfValue, buffers)
                {
                    bufferOfValue[output.index] = buffer
                    buffers[buffer].lastStep = last
                } else {
                    bufferOfValue[output.index] = newBuffer(bytes, from: step, to: last)
                }
            }
        }
        let scratch = scratchBytes.enumerated().map { newBuffer($1, from: $0, to: $0) }

        arenaBytes = Self.place(&buffers)
        for (index, buffer) in bufferOfValue.enumerated() {
            if let buffer { storage[ValueID(index: index)] = .arena(buffers[buffer].offset) }
        }
        for (index, value) in graph.values.enumerated() where storage[ValueID(index: index)] == nil {
            switch value.source {
            case .parameter, .constant:
                storage[ValueID(index: index)] = Self.external(ValueID(index: index), graph)
            case .input, .node: break  // pruned from the graph
            }
        }
        scratchOffsets = scratch.map { buffers[$0].offset }
    }

    private static func external(_ value: ValueID, _ graph: Graph) -> Storage {
        switch graph[value].source {
        case .parameter(let name): .parameter(name)
        case .constant: .constant(value)
        case .input, .node: preconditionFailure("a computed value has arena memory")
        }
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
    private static func overwritable(
        _ node: Node, _ step: Int, _ bytes: Int, _ bufferOfValue: [Int?], _ buffers: [Buffer]
    ) -> Int? {
        for index in node.operation.overwritableInputs {
            guard let buffer = bufferOfValue[node.inputs[index].index] else { continue }
            // A second read of the same memory by this node would see what it has just overwritten.
            let reads = node.inputs.count { bufferOfValue[$0.index] == buffer }
            if buffers[buffer].lastStep == step, buffers[buffer].bytes == bytes, reads == 1 { return buffer }
        }
        return nil
    }

    /// Gives every buffer the lowest offset at which it overlaps no buffer of overlapping steps; largest first.
    /// - Returns: the size of the arena in bytes.
    private static func place(_ buffers: inout [Buffer]) -> Int {
        let order = buffers.indices.filter { buffers[$0].bytes > 0 }.sorted {
            (buffers[$0].bytes, buffers[$1].firstStep) > (buffers[$1].bytes, buffers[$0].firstStep)
        }
        var placed: [Int] = []  // by ascending offset
        var arena = 0
        for index in order {
            let size = (buffers[index].bytes + alignment - 1) / alignment * alignment
            var offset = 0
            for other in placed
            where buffers[other].lastStep >= buffers[index].firstStep
                && buffers[other].firstStep <= buffers[index].lastStep
            {
                if buffers[other].offset >= offset + size { break }
                let end = buffers[other].offset + (buffers[other].bytes + alignment - 1) / alignment * alignment
                offset = max(offset, end)
            }
            buffers[index].offset = offset
            arena = max(arena, offset + size)
            let position = placed.firstIndex { buffers[$0].offset > offset } ?? placed.count
            placed.insert(index, at: position)
        }
        return arena
    }
}
