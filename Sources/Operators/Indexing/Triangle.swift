import Kernels
public import TensorGraph

/// Keeps the entries of the last two axes on one side of a diagonal, the others become zero (ONNX Trilu). Nothing is
/// multiplied: an infinity outside of the triangle becomes zero too.
public struct Triangle: ExecutableOperation {
    public let isUpper: Bool
    /// Number of the diagonal that belongs to the triangle; positive ones lie above the main diagonal.
    public let diagonal: Int

    public init(isUpper: Bool, diagonal: Int) {
        self.isUpper = isUpper
        self.diagonal = diagonal
    }

    public var description: String { "\(isUpper ? "upper" : "lower") triangle from \(diagonal)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].rank >= 2 else { throw .invalid("\(inputs[0]) has no matrices to take a triangle of") }
        return inputs
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        guard let factor = inputs[0].factor else { return [nil] }
        if factor.axis >= inputs[0].type.rank - 2 {
            throw BatchMixing(axis: factor.axis, "it treats samples by their position in the batch")
        }
        return [factor]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        return try builder.emit(self, gradient)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let rows = inputs[0].shape[inputs[0].rank - 2]
        let columns = inputs[0].shape[inputs[0].rank - 1]
        let matrices = inputs[0].shape.dropLast(2).elementCount
        let isUpper = isUpper
        // Beyond the matrix one diagonal is like another.
        let diagonal = min(max(diagonal, -rows - 1), columns + 1)
        func prepared<Element: FixedWidthInteger & BitwiseCopyable & Sendable>(_: Element.Type) -> Kernel {
            Kernel { arguments in
                let x: UnsafePointer<Element> = arguments.input(0)
                let out: UnsafeMutablePointer<Element> = arguments.output(0)
                arguments.pool.forRanges(matrices * rows, grain: max(1, 16384 / max(1, columns))) { range, _ in
                    for task in range {
                        // First column on or right of the diagonal; the lower triangle includes the diagonal too.
                        let border = task % rows + diagonal + (isUpper ? 0 : 1)
                        let split = min(max(border, 0), columns)
                        let (from, to) = (x + task * columns, out + task * columns)
                        if isUpper {
                            to.update(repeating: 0, count: split)
                            (to + split).update(from: from + split, count: columns - split)
                        } else {
                            to.update(from: from, count: split)
                            (to + split).update(repeating: 0, count: columns - split)
                        }
                    }
                }
            }
        }
        return prepared(inputs[0].elementType.carrier)
    }
}
