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

    /// Where a parameter or a constant is.
    static func external(_ value: ValueID, _ graph: Graph) -> Storage {
        switch graph[value].source {
        case .parameter(let name): .parameter(name)
        case .constant: .constant(value)
        case .input, .node: preconditionFailure("a computed value has arena memory")
        }
    }
}

/// Assigns arena memory to the values of a graph. Buffers whose steps do not overlap share memory.
struct BufferLayout {
    /// Alignment of every buffer: one cache line, which also suits vector loads.
    static let alignment = 64

    private(set) var storage: [ValueID: Storage]
    let scratchOffsets: [Int]
    let arenaBytes: Int

    /// - Parameter sinks: what is summed up in the caller's memory.
    init(_ graph: Graph, scratchBytes: [Int], sinks: SumSinks) {
        let liveness = Liveness(graph, scratchBytes: scratchBytes, sinks: sinks)
        var buffers = liveness.buffers
        arenaBytes = Self.place(&buffers)
        storage = liveness.storage
        for (index, buffer) in liveness.bufferOfValue.enumerated() {
            if let buffer { storage[ValueID(index: index)] = .arena(buffers[buffer].offset) }
        }
        for (index, value) in graph.values.enumerated() where storage[ValueID(index: index)] == nil {
            switch value.source {
            case .parameter, .constant: storage[ValueID(index: index)] = .external(ValueID(index: index), graph)
            case .input, .node: break  // pruned from the graph
            }
        }
        scratchOffsets = liveness.scratchBuffers.map { buffers[$0].offset }
    }

    /// Gives every buffer the lowest offset at which it overlaps no buffer of overlapping steps; largest first.
    /// - Returns: the size of the arena in bytes.
    static func place(_ buffers: inout [Buffer]) -> Int {
        let order = buffers.indices.filter { buffers[$0].bytes > 0 }.sorted {
            (buffers[$0].bytes, buffers[$1].firstStep) > (buffers[$1].bytes, buffers[$0].firstStep)
        }
        var placed: [Int] = []  // by ascending offset
        var arena = 0
        for index in order {
            let size = buffers[index].reservedBytes
            var offset = 0
            for other in placed
            where buffers[other].lastStep >= buffers[index].firstStep
                && buffers[other].firstStep <= buffers[index].lastStep
            {
                if buffers[other].offset >= offset + size { break }
                offset = max(offset, buffers[other].offset + buffers[other].reservedBytes)
            }
            buffers[index].offset = offset
            arena = max(arena, offset + size)
            let position = placed.firstIndex { buffers[$0].offset > offset } ?? placed.count
            placed.insert(index, at: position)
        }
        return arena
    }
}
