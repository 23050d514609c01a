import Kernels
public import TensorGraph

/// A copy of data in which each update changes one slice, at the place that a tuple of coordinates names (ONNX
/// ScatterND). Inputs: data, indices, updates. Order, and tuples outside of the data, as in `ElementScattering`.
public struct TupleScattering: ExecutableOperation {
    /// Leading axes that data and indices share, as in `TupleGathering`, of which this is the adjoint on zeros.
    public let sharedAxes: Int
    public let reduction: ScatterReduction

    public init(sharedAxes: Int = 0, _ reduction: ScatterReduction) {
        self.sharedAxes = sharedAxes
        self.reduction = reduction
    }

    public var description: String { "scatter slices (\(reduction))" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let gathered = try TupleGathering(sharedAxes: sharedAxes).outputTypes(for: Array(inputs[..<2]))
        guard gathered == [inputs[2]] else {
            throw .invalid("updates \(inputs[2]) do not fit the indices \(inputs[1]) of \(inputs[0])")
        }
        try Scatter.check(inputs[0], reduction)
        return [inputs[0]]
    }

    /// The updates must hold the samples where slices gathered by the same indices would.
    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        let (data, indices, updates) = (inputs[0], inputs[1], inputs[2])
        guard let factor = data.factor else {
            throw BatchMixing(axis: updates.factor?.axis, "it writes samples into a tensor that has no batch")
        }
        let place = try TupleWalk.factor(data: data, indices: indices, sharedAxes: sharedAxes)
        var gathered = updates
        gathered.factor = place
        gathered.constant = nil
        _ = try BatchRules.elementwise([gathered, updates], outputRank: updates.type.rank)
        return [factor]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard index != 1, let gradient = outputGradients[0] else { return nil }
        guard reduction == .none || reduction == .add else {
            throw .unsupported("a scatter with reduction \(reduction) has no gradient")
        }
        let indices = node.inputs[1]
        if index == 2 { return try builder.emit(TupleGathering(sharedAxes: sharedAxes), gradient, indices) }
        if reduction == .add { return gradient }
        let zeros = builder.zeros(builder.shape(of: node.inputs[2]))
        return try builder.emit(TupleScattering(sharedAxes: sharedAxes, .none), gradient, indices, zeros)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let walk = TupleWalk(data: inputs[0].shape, indices: inputs[1].shape, sharedAxes: sharedAxes)
        return Scatter.kernel(inputs[0], reduction) { indices, update in
            for tuple in 0..<walk.tuples {
                let (place, isMissing) = walk.place(tuple, indices)
                if !isMissing || walk.hasStandIn {
                    update(place, tuple * walk.sliceCount, walk.sliceCount, isMissing)
                }
            }
        }
    }
}

extension GraphBuilder {
    /// The tensor that samples are scattered into: where it is the same for all of them, such as zeros made as large as
    /// the batch, it is declared to hold one copy per sample, on the first axis on which that keeps the samples apart.
    mutating func oneCopyPerSample(
        _ data: ValueID, before scattering: TupleScattering, _ indices: ValueID, _ updates: ValueID
    ) throws(GraphError) -> ValueID {
        guard followsBatch, batchSize > 1, graph[data].batch == .free,
            [indices, updates].contains(where: { graph[$0].batch != .free })
        else { return data }
        let shape = self.shape(of: data)
        let inner = graph[updates].batch.factor?.inner ?? 1
        let outer = graph[updates].batch.factor?.outer ?? 1
        for axis in shape.indices where shape[axis] == outer * batchSize * inner {
            let factor = BatchFactor(axis: axis, outer: outer, inner: inner)
            guard let copies = try oneCopyPerSample(data, factor) else { continue }
            if graph[indices].batch == .mixed {
                // Coordinates that count the samples stand in front; see `CountingOperation`.
                if axis == 0, outer * inner == 1 { return copies }
                continue
            }
            let operands = [copies, indices, updates].map { value in
                BatchOperand(
                    type: type(of: value), factor: graph[value].batch.factor, constant: constant(value),
                    batchSize: batchSize)
            }
            if (try? scattering.batchFactors(operands, outputs: [type(of: data)])) != nil { return copies }
        }
        return data
    }
}
