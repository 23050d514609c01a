import Kernels
import TensorGraph

/// Operators that place entries along a time axis by lengths or positions of each sequence.
enum SequenceOperators {
    static let all: [any OperatorPlugin] =
        [10, 28].map { StandardOperator("ReverseSequence", since: $0, expand: reverseSequence) }
        + [StandardOperator("TensorScatter", since: 24, expand: tensorScatter)]

    /// The first `length` entries of each sequence in reverse, the others as they are.
    @Sendable
    private static func reverseSequence(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (x, lengths) = (try node.input(0), try node.input(1))
        let shape = node.shape(x)
        let (batchAxis, timeAxis) = (try node.int("batch_axis", default: 1), try node.int("time_axis", default: 0))
        guard shape.count >= 2, Set([batchAxis, timeAxis]) == [0, 1], node.shape(lengths) == [shape[batchAxis]] else {
            throw .invalid("lengths \(node.type(lengths)) do not fit \(node.type(x))")
        }
        let order = [batchAxis, timeAxis] + Array(2..<shape.count)
        let sequences = try node.builder.transpose(x, order)
        let (batch, steps) = (shape[batchAxis], shape[timeAxis])
        let step = node.constant(Constant((0..<Int64(steps)).map(\.self), shape: [1, steps]))
        let length = try node.builder.view(lengths, [batch, 1])
        let last = try node.builder.subtract(length, node.builder.integer(1))
        let isReversed = try node.builder.compare(.less, step, length)
        let places = try node.builder.select(isReversed, try node.builder.subtract(last, step), step)
        let tuples = try node.builder.view(places, [batch, steps, 1])
        // The permutation of two axes is its own inverse.
        return [
            try node.builder.transpose(try node.emit(TupleGathering(sharedAxes: 1), sequences, tuples), order)
        ]
    }

    /// A cache in which every sequence's update stands from its own position on.
    @Sendable
    private static func tensorScatter(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (cache, update) = (try node.input(0), try node.input(1))
        let (shape, updateShape) = (node.shape(cache), node.shape(update))
        let axis = try normalizedAxis(try node.int("axis", default: -2), rank: shape.count)
        guard axis > 0, updateShape.count == shape.count, updateShape[axis] <= shape[axis] else {
            throw .invalid("an update \(node.type(update)) does not fit \(node.type(cache)) along axis \(axis)")
        }
        let (batch, steps) = (shape[0], updateShape[axis])
        var places = node.constant(Constant((0..<Int64(steps)).map(\.self), shape: [1, steps]))
        if let starts = node.optionalInput(2) {
            places = try node.builder.add(try node.builder.view(starts, [batch, 1]), places)
        }
        switch try node.string("mode") ?? "linear" {
        case "linear": break
        case "circular": places = try node.builder.binary(.mod, places, node.builder.integer(Int64(shape[axis])))
        case let mode: throw .invalid("mode '\(mode)' is neither linear nor circular")
        }
        let tuples = try node.builder.view(
            try node.builder.broadcast(places, to: [batch, steps]), [batch, steps, 1])
        // The time axis behind the batch, so that each entry is one slice.
        let order = [0, axis] + (1..<shape.count).filter { $0 != axis }
        let result = try node.emit(
            TupleScattering(sharedAxes: 1, .none), try node.builder.transpose(cache, order), tuples,
            try node.builder.transpose(update, order))
        return [try node.builder.transpose(result, order.indices.map { order.firstIndex(of: $0)! })]
    }
}
