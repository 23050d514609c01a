import Kernels
public import TensorGraph

/// A copy of data in which each update changes one element: out[indices[i, j], j] = updates[i, j] for axis 0 (ONNX
/// ScatterElements). Inputs: data, indices, updates.
///
/// Updates are applied in order by one thread. Where an index lies outside of the axis there is no element to change;
/// for floats NaN is written to entry 0, which belongs to the same sample, so that the sample is left out of private
/// sums.
public struct ElementScattering: ExecutableOperation {
    public let axis: Int
    public let reduction: ScatterReduction

    public init(axis: Int, _ reduction: ScatterReduction) {
        self.axis = axis
        self.reduction = reduction
    }

    public var description: String { "scatter elements along \(axis) (\(reduction))" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        try ElementGathering.check(data: inputs[0], indices: inputs[1], axis: axis)
        guard inputs[2] == inputs[0].with(shape: inputs[1].shape) else {
            throw .invalid("updates \(inputs[2]) do not fit the indices \(inputs[1]) of \(inputs[0])")
        }
        try Scatter.check(inputs[0], reduction)
        return [inputs[0]]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try ElementGathering.factor(inputs, axis: axis)]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard index != 1, let gradient = outputGradients[0] else { return nil }
        guard reduction == .none || reduction == .add else {
            throw .unsupported("a scatter with reduction \(reduction) has no gradient")
        }
        let indices = node.inputs[1]
        if index == 2 { return try builder.emit(ElementGathering(axis: axis), gradient, indices) }
        if reduction == .add { return gradient }
        let zeros = builder.zeros(builder.shape(of: indices))
        return try builder.emit(ElementScattering(axis: axis, .none), gradient, indices, zeros)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let data = inputs[0]
        let (size, stride) = (data.shape[axis], data.shape.rowMajorStrides[axis])
        let walk = ElementWalk(data: data.shape, indices: inputs[1].shape, axis: axis)
        return Scatter.kernel(data, reduction) { indices, update in
            for row in 0..<walk.rows {
                let base = walk.base(row)
                for j in 0..<walk.width {
                    let position = row * walk.width + j
                    let place = base + j * walk.step
                    let entry = wrappedIndex(indices[position], size)
                    if entry != nil || size > 0 {
                        update(place + (entry ?? 0) * stride, position, 1, entry == nil)
                    }
                }
            }
        }
    }
}
