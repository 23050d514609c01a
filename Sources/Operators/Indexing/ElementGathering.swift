import Kernels
public import TensorGraph

/// Every element picked along one axis by its own index: out[i, j] = data[indices[i, j], j] for axis 0 (ONNX
/// GatherElements). Negative indices count from the end; one outside of the axis reads as `Gathering` says.
public struct ElementGathering: ExecutableOperation {
    public let axis: Int

    public init(axis: Int) { self.axis = axis }

    public var description: String { "gather elements along \(axis)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        try Self.check(data: inputs[0], indices: inputs[1], axis: axis)
        return [inputs[0].with(shape: inputs[1].shape)]
    }

    static func check(data: TensorType, indices: TensorType, axis: Int) throws(GraphError) {
        let fits =
            data.shape.indices.contains(axis) && indices.elementType == .int64 && indices.rank == data.rank
            && data.shape.indices.allSatisfy { $0 == axis || indices.shape[$0] <= data.shape[$0] }
        guard fits else { throw .invalid("\(indices) does not index the elements of \(data) along axis \(axis)") }
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try Self.factor(inputs, axis: axis)]
    }

    /// Operands of one rank whose entries meet along `axis` only: samples must lie in the same place of all of them.
    static func factor(_ operands: [BatchOperand], axis: Int) throws(BatchMixing) -> BatchFactor? {
        guard let factor = try BatchRules.elementwise(operands, outputRank: operands[0].type.rank) else { return nil }
        if factor.axis == axis { throw BatchMixing(axis: axis, "it picks entries along the batch") }
        guard Set(operands.map { $0.type.shape[factor.axis] }).count == 1 else {
            throw BatchMixing(axis: factor.axis, "it takes some samples of the batch")
        }
        return factor
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard index == 0, let gradient = outputGradients[0] else { return nil }
        let zeros = builder.zeros(builder.shape(of: node.inputs[0]))
        return try builder.emit(ElementScattering(axis: axis, .add), zeros, node.inputs[1], gradient)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = inputs[0].shape[axis]
        let stride = inputs[0].shape.rowMajorStrides[axis]
        let walk = ElementWalk(data: inputs[0].shape, indices: inputs[1].shape, axis: axis)
        let missing = inputs[0].elementType.missingBits
        func prepared<Element: FixedWidthInteger & BitwiseCopyable & Sendable>(_: Element.Type) -> Kernel {
            Kernel { arguments in
                let data: UnsafePointer<Element> = arguments.input(0)
                let indices: UnsafePointer<Int64> = arguments.input(1)
                let out: UnsafeMutablePointer<Element> = arguments.output(0)
                arguments.pool.forRanges(walk.rows, grain: max(1, 4096 / max(1, walk.width))) { range, _ in
                    for row in range {
                        let base = walk.base(row)
                        for j in 0..<walk.width {
                            let entry = wrappedIndex(indices[row * walk.width + j], size)
                            out[row * walk.width + j] =
                                entry.map { data[base + j * walk.step + $0 * stride] }
                                ?? Element(truncatingIfNeeded: missing)
                        }
                    }
                }
            }
        }
        return prepared(inputs[0].elementType.carrier)
    }
}

extension ElementWalk {
    /// Over indices of `data`, whose own axis `axis` is not walked.
    init(data: [Int], indices: [Int], axis: Int) {
        var strides = data.rowMajorStrides
        strides[axis] = 0
        self.init(shape: indices, strides: strides)
    }
}

extension GraphBuilder {
    /// A float tensor of zeros.
    mutating func zeros(_ shape: [Int]) -> ValueID { addConstant(Constant(TensorType(.float32, shape)) { _ in }) }
}
