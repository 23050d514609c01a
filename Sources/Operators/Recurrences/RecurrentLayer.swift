import TensorGraph

/// What the recurrent operators of ONNX have in common: inputs, directions and layouts.
///
/// Everything is brought to [sequences, steps, features], in which a sample is contiguous; ONNX's layout 0 has the steps
/// first.
struct RecurrentLayer {
    /// X [N, T, I].
    let x: ValueID
    /// For each direction whether it runs backwards in time.
    let directions: [Bool]
    let hidden: Int
    let gates: Int
    /// ONNX's layout 1.
    let isBatchFirst: Bool

    init(_ node: inout Expansion, gates: Int) throws(GraphError) {
        self.gates = gates
        switch try node.string("direction") ?? "forward" {
        case "forward": directions = [false]
        case "reverse": directions = [true]
        case "bidirectional": directions = [false, true]
        case let other: throw .invalid("direction '\(other)' is none of forward, reverse, bidirectional")
        }
        isBatchFirst = try node.flag("layout")
        let (input, weights, recurrent) = (try node.input(0), try node.input(1), try node.input(2))
        let shape = node.shape(input)
        guard shape.count == 3 else { throw .invalid("X has shape \(shape), not three axes") }
        let rows = node.shape(recurrent)
        guard rows.count == 3, rows[0] == directions.count, rows[1] == gates * rows[2],
            node.shape(weights) == [rows[0], rows[1], shape[2]]
        else {
            throw .invalid(
                "W \(node.shape(weights)) and R \(rows) do not fit \(shape[2]) features and \(directions.count) directions"
            )
        }
        hidden = rows[2]
        if let size = try node.int("hidden_size"), size != hidden {
            throw .invalid("hidden_size is \(size), but R has shape \(rows)")
        }
        x = isBatchFirst ? input : try node.builder.transpose(input, [1, 0, 2])
    }

    /// Input `index` for one direction without the axis of directions; nil if it is omitted.
    func part(_ index: Int, direction: Int, of node: inout Expansion, axis: Int = 0) throws(GraphError) -> ValueID? {
        guard let value = node.optionalInput(index) else { return nil }
        var shape = node.shape(value)
        guard shape.count > axis, shape[axis] == directions.count else {
            throw .invalid("input \(index) of shape \(shape) does not hold \(directions.count) directions")
        }
        let own = try node.builder.slice(value, axis: axis, direction..<direction + 1)
        shape.remove(at: axis)
        return try node.builder.view(own, shape)
    }

    /// An initial state [N, H]; nil where it is omitted or zero.
    func state(_ index: Int, direction: Int, of node: inout Expansion) throws(GraphError) -> ValueID? {
        let axis = isBatchFirst ? 1 : 0
        guard let state = try part(index, direction: direction, of: &node, axis: axis) else { return nil }
        let expected = [node.shape(x)[0], hidden]
        guard node.shape(state) == expected else {
            throw .invalid("input \(index) has shape \(node.shape(state)) per direction, not \(expected)")
        }
        if let constant = node.builder.constant(state), constant.floatValues.allSatisfy({ $0 == 0 }) { return nil }
        return state
    }

    /// Lengths of the sequences; nil where they are omitted or all steps are meant.
    func lengths(of node: inout Expansion) throws(GraphError) -> ValueID? {
        guard let lengths = node.optionalInput(4) else { return nil }
        let (sequences, steps) = (node.shape(x)[0], node.shape(x)[1])
        guard node.shape(lengths) == [sequences] else {
            throw .invalid("sequence_lens has shape \(node.shape(lengths)), not [\(sequences)]")
        }
        if let constant = node.builder.constant(lengths), constant.intValues.allSatisfy({ $0 == steps }) { return nil }
        return lengths
    }

    /// x W^T [N, T, gates H] of one direction.
    func projections(_ direction: Int, of node: inout Expansion) throws(GraphError) -> ValueID {
        let weights = try part(1, direction: direction, of: &node)!
        return try node.builder.matmul(x, weights, transposingRight: true)
    }

    /// The biases of W and of R for one direction, [gates H] each; nil if the node has none.
    func biases(_ direction: Int, of node: inout Expansion) throws(GraphError) -> (ValueID, ValueID)? {
        guard let both = try part(3, direction: direction, of: &node) else { return nil }
        let count = gates * hidden
        guard node.shape(both) == [2 * count] else {
            throw .invalid("B has shape \(node.shape(both)) per direction, not [\(2 * count)]")
        }
        return (
            try node.builder.slice(both, axis: 0, 0..<count), try node.builder.slice(both, axis: 0, count..<2 * count)
        )
    }

    /// h_t of all directions, each [N, T, H], as ONNX's Y: [T, D, N, H], or [N, T, D, H] where the batch is first.
    func output(_ states: [ValueID], in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        let shape = builder.shape(of: states[0])
        let (sequences, steps) = (shape[0], shape[1])
        if isBatchFirst {
            return try builder.view(
                try builder.concatenate(states, axis: 2), [sequences, steps, states.count, hidden])
        }
        if states.count == 1 {
            return try builder.view(try builder.transpose(states[0], [1, 0, 2]), [steps, 1, sequences, hidden])
        }
        let joined = try builder.view(
            try builder.concatenate(states, axis: 2), [sequences, steps, states.count, hidden])
        return try builder.transpose(joined, [1, 2, 0, 3])
    }

    /// Last states of all directions, each [N, H], as ONNX's Y_h: [D, N, H], or [N, D, H] where the batch is first.
    func lastStates(_ states: [ValueID], in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        let sequences = builder.shape(of: states[0])[0]
        let axis = isBatchFirst ? 1 : 0
        var parts: [ValueID] = []
        for state in states {
            parts.append(try builder.view(state, isBatchFirst ? [sequences, 1, hidden] : [1, sequences, hidden]))
        }
        return try builder.concatenate(parts, axis: axis)
    }
}
