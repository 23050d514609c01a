import Operators
import TensorGraph

/// Every sample's gradient of the inputs of a node that no sample reaches, from every sample's gradient of its output.
struct PerSamplePullback {
    let node: Node
    /// The output of the node that has gradients.
    let value: ValueID
    /// [B] + the output's shape.
    let gradients: ValueID

    private func batchSize(in builder: GraphBuilder) -> Int { builder.shape(of: gradients)[0] }

    /// [B] + the input's shape; nil if no gradient flows.
    func gradients(ofInput index: Int, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        let shape = builder.shape(of: node.inputs[index])
        switch node.operation {
        case let operation as Concatenation:
            let start = node.inputs[..<index].reduce(0) { $0 + builder.shape(of: $1)[operation.axis] }
            return try builder.slice(
                gradients, axis: operation.axis + 1, start..<start + shape[operation.axis])
        case let operation as Slicing:
            let placement = SlicePlacement(
                starts: [0] + operation.starts, steps: [1] + operation.steps, shape: [batchSize(in: builder)] + shape)
            return try builder.emit(placement, gradients)
        case let operation as Gathering where index == 0 && operation.paddingRow == nil:
            let adjoint = GatheringAdjoint(axis: operation.axis + 1, shape: [batchSize(in: builder)] + shape)
            return try builder.emit(adjoint, gradients, node.inputs[1])
        case is Broadcasting:
            return try summed(gradients, to: shape, in: &builder)
        case let operation as Binary:
            guard let full = try operation.elementGradient(index, of: node, gradients, in: &builder) else { return nil }
            return try summed(full, to: shape, in: &builder)
        case let operation as Select:
            guard let full = try operation.elementGradient(index, of: node, gradients, in: &builder) else { return nil }
            return try summed(full, to: shape, in: &builder)
        case is Unary:
            let ones = builder.addConstant(Constant([Float](repeating: 1, count: shape.elementCount), shape: shape))
            guard let slope = try node.operation.inputGradient(index, of: node, outputGradients: [ones], in: &builder)
            else { return nil }
            return try builder.multiply(gradients, slope)
        default:
            return try sampleBySample(index, shape, in: &builder)
        }
    }

    /// Sums over the axes along which the input was broadcast, and not over the samples.
    private func summed(_ full: ValueID, to shape: [Int], in builder: inout GraphBuilder) throws(GraphError) -> ValueID
    {
        let padded = shape.leftPadded(toRank: builder.shape(of: value).count)
        let sum = try builder.sum(full, toBroadcastable: [batchSize(in: builder)] + padded)
        return try builder.view(sum, [batchSize(in: builder)] + shape)
    }

    /// The operation's own gradient rule, once for each sample.
    private func sampleBySample(_ index: Int, _ shape: [Int], in builder: inout GraphBuilder) throws(GraphError)
        -> ValueID?
    {
        let outputShape = builder.shape(of: value)
        var results: [ValueID] = []
        for sample in 0..<batchSize(in: builder) {
            let own = try builder.view(
                try builder.slice(gradients, axis: 0, sample..<sample + 1), outputShape)
            guard
                let gradient = try node.operation.inputGradient(
                    index, of: node, outputGradients: node.outputs.map { $0 == value ? own : nil }, in: &builder)
            else { return nil }
            results.append(try builder.view(gradient, [1] + shape))
        }
        return try builder.concatenate(results, axis: 0)
    }
}
