import TensorGraph

/// What an expansion found, by name, so that one at another batch size can be compared with it. Names inside a node's
/// graphs begin with the node's place and the number of the run through the graph.
struct ExpansionRecord {
    struct Tensor {
        var shape: [Int]
        var constant: Constant?
    }

    var tensors: [String: Tensor] = [:]
    /// Which branch a node took, or how often it ran through its graph.
    var decisions: [String: Int] = [:]

    mutating func add(_ name: String, _ value: ValueID, in builder: GraphBuilder) {
        tensors[name] = Tensor(shape: builder.shape(of: value), constant: builder.constant(value))
    }
}

extension Constant {
    /// Whether two constants agree where both have entries; one that merely has more rows for more samples does.
    func agrees(with other: Constant) -> Bool {
        if self === other || isIdentical(to: other) { return true }
        guard type.rank == other.type.rank, type.elementType == other.type.elementType else { return false }
        if type.shape == other.type.shape { return false }
        let shared = zip(type.shape, other.type.shape).map { min($0, $1) }
        let size = type.elementType.size
        var position = [Int](repeating: 0, count: shared.count)
        let strides = (type.shape.rowMajorStrides, other.type.shape.rowMajorStrides)
        for _ in 0..<shared.elementCount {
            let a = zip(position, strides.0).reduce(0) { $0 + $1.0 * $1.1 } * size
            let b = zip(position, strides.1).reduce(0) { $0 + $1.0 * $1.1 } * size
            if !bytes[a..<a + size].elementsEqual(other.bytes[b..<b + size]) { return false }
            for axis in shared.indices.reversed() {
                position[axis] += 1
                if position[axis] < shared[axis] { break }
                position[axis] = 0
            }
        }
        return true
    }
}
