import Kernels
public import TensorGraph

/// Sums of all entries up to each one along an axis (ONNX CumSum). Floats are accumulated in double.
public struct CumulativeSum: ExecutableOperation {
    public let axis: Int
    /// Whether an entry's own value is left out of its sum.
    public let excludesSelf: Bool
    /// Whether the sums run from the end of the axis.
    public let isReversed: Bool

    public init(axis: Int, excludesSelf: Bool = false, isReversed: Bool = false) {
        self.axis = axis
        self.excludesSelf = excludesSelf
        self.isReversed = isReversed
    }

    public var description: String {
        "cumulative sum along \(axis)\(excludesSelf ? ", exclusive" : "")\(isReversed ? ", reversed" : "")"
    }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let type = inputs[0].elementType
        guard inputs[0].shape.indices.contains(axis), type == .float32 || type == .int64 else {
            throw .invalid("cannot accumulate \(inputs[0]) along axis \(axis)")
        }
        return inputs
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.along([axis], inputs[0], "accumulates")]
    }

    /// Entry k enters the sums of all entries that follow it, so the gradient is the sum from the other end.
    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0], builder.type(of: gradient).elementType == .float32 else { return nil }
        return try builder.emit(
            CumulativeSum(axis: axis, excludesSelf: excludesSelf, isReversed: !isReversed), gradient)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        if inputs[0].elementType == .int64 {
            return kernel(inputs[0].shape, start: Int64(0), adding: { $0 &+ $1 }, stored: { $0 })
        }
        return kernel(
            inputs[0].shape, start: 0.0, adding: { (sum: Double, x: Float) in sum + Double(x) }, stored: { Float($0) })
    }

    private func kernel<Element: BitwiseCopyable, Sum: Sendable>(
        _ shape: [Int], start: Sum, adding: @escaping @Sendable (Sum, Element) -> Sum,
        stored: @escaping @Sendable (Sum) -> Element
    ) -> Kernel {
        let (excludesSelf, isReversed) = (excludesSelf, isReversed)
        let (outer, n) = (shape[..<axis].elementCount, shape[axis])
        let inner = shape[(axis + 1)...].elementCount
        return Kernel(operationCount: Double(shape.elementCount)) { arguments in
            let x = arguments.input(0, as: Element.self)
            let out = arguments.output(0, as: Element.self)
            arguments.pool.forRanges(outer * inner, grain: max(1, 4096 / max(1, n))) { range, _ in
                for line in range {
                    let first = line / inner * n * inner + line % inner
                    var sum = start
                    for step in 0..<n {
                        let at = first + (isReversed ? n - 1 - step : step) * inner
                        let next = adding(sum, x[at])
                        out[at] = stored(excludesSelf ? sum : next)
                        sum = next
                    }
                }
            }
        }
    }
}
