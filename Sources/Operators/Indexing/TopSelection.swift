import Kernels
public import TensorGraph

/// The `count` largest or smallest entries along one axis, in order, and their indices (ONNX TopK). Of equal entries the
/// one with the lower index comes first; NaN counts as larger than any number.
public struct TopSelection: ExecutableOperation {
    public let axis: Int
    public let count: Int
    public let takesLargest: Bool

    public init(axis: Int, count: Int, takesLargest: Bool) {
        self.axis = axis
        self.count = count
        self.takesLargest = takesLargest
    }

    public var description: String { "top \(count) \(takesLargest ? "largest" : "smallest") along \(axis)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        var shape = inputs[0].shape
        guard shape.indices.contains(axis), 0...shape[axis] ~= count else {
            throw .invalid("cannot take \(count) entries along axis \(axis) of \(inputs[0])")
        }
        guard inputs[0].elementType == .float32 || inputs[0].elementType == .int64 else {
            throw .unsupported("the entries of \(inputs[0]) cannot be ordered; use a float or integer tensor")
        }
        shape[axis] = count
        return [inputs[0].with(shape: shape), TensorType(.int64, shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        let factor = try BatchRules.along([axis], inputs[0], "selects")
        return [factor, factor]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        let zeros = builder.zeros(builder.shape(of: node.inputs[0]))
        return try builder.emit(ElementScattering(axis: axis, .add), zeros, node.outputs[1], gradient)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        if inputs[0].elementType == .int64 {
            return kernel(inputs[0].shape, threads) { (left: Int64, right: Int64) in left > right }
        }
        return kernel(inputs[0].shape, threads) { (left: Float, right: Float) in
            left > right || left.isNaN && !right.isNaN
        }
    }

    private func kernel<Element: BitwiseCopyable & Sendable>(
        _ shape: [Int], _ threads: Int, isLarger: @escaping @Sendable (Element, Element) -> Bool
    ) -> Kernel {
        let (outer, n, inner) = (shape[..<axis].elementCount, shape[axis], shape[(axis + 1)...].elementCount)
        let (count, takesLargest) = (count, takesLargest)
        return Kernel(scratchBytes: threads * n * MemoryLayout<Int>.stride) { arguments in
            let x: UnsafePointer<Element> = arguments.input(0)
            let values: UnsafeMutablePointer<Element> = arguments.output(0)
            let positions: UnsafeMutablePointer<Int64> = arguments.output(1)
            let scratch = arguments.scratch.assumingMemoryBound(to: Int.self)
            arguments.pool.forRanges(outer * inner, grain: max(1, 1024 / max(1, n))) { range, worker in
                var order = UnsafeMutableBufferPointer(start: scratch + worker * n, count: n)
                for task in range {
                    let (row, column) = task.quotientAndRemainder(dividingBy: inner)
                    let entries = x + row * n * inner + column
                    for i in 0..<n { order[i] = i }
                    order.sort { first, second in
                        let (a, b) = (entries[first * inner], entries[second * inner])
                        if takesLargest ? isLarger(a, b) : isLarger(b, a) { return true }
                        if takesLargest ? isLarger(b, a) : isLarger(a, b) { return false }
                        return first < second
                    }
                    let target = row * count * inner + column
                    for k in 0..<count {
                        values[target + k * inner] = entries[order[k] * inner]
                        positions[target + k * inner] = Int64(order[k])
                    }
                }
            }
        }
    }
}
