import TensorGraph

/// Operations just rich enough to build graphs of.
struct Elementwise: Operation {
    var name = "combine"
    var result = ElementType.float32

    var description: String { name }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard let shape = broadcastedShape(inputs.map(\.shape)) else { throw .invalid("the shapes do not fit") }
        return [TensorType(result, shape)]
    }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.elementwise(inputs, outputRank: outputs[0].rank)]
    }
}

/// The totals over an axis, and how many entries there are.
struct Totals: Operation {
    let axis: Int

    var description: String { "totals over \(axis)" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].shape.indices.contains(axis) else { throw .invalid("there is no axis \(axis)") }
        var shape = inputs[0].shape
        shape.remove(at: axis)
        return [inputs[0].with(shape: shape), TensorType(.int64, [])]
    }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.reduce(inputs[0], axes: [axis], keepingAxes: false), nil]
    }
}

/// Repeats a tensor along a new first axis, and says so.
struct Repeated: Operation {
    let count: Int

    var description: String { "repeat \(count) times" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        [inputs[0].with(shape: [count] + inputs[0].shape)]
    }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [
            inputs[0].factor.map { BatchFactor(axis: $0.axis + 1, outer: $0.outer, inner: $0.inner) }
        ]
    }

    func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        axis == 0 ? try builder.emit(Repeated(count: 1), node.inputs[0]) : nil
    }
}
