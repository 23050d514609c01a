import Kernels
public import TensorGraph

/// A new axis that holds one of two values: `on` where its position is the index, `off` elsewhere (ONNX OneHot).
/// Inputs: indices (int64) and [off, on]. Negative indices count from the end; one outside of the axis has no `on`.
public struct OneHotEncoding: ExecutableOperation {
    /// Where the new axis stands in the output.
    public let axis: Int
    public let depth: Int

    public init(axis: Int, depth: Int) {
        self.axis = axis
        self.depth = depth
    }

    public var description: String { "one-hot of \(depth) along \(axis)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .int64, inputs[1].shape == [2], 0...inputs[0].rank ~= axis else {
            throw .invalid("cannot encode \(inputs[0]) along axis \(axis) with values \(inputs[1])")
        }
        return [inputs[1].with(shape: inputs[0].shape[..<axis] + [depth] + inputs[0].shape[axis...])]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        if let factor = inputs[1].factor {
            throw BatchMixing(axis: factor.axis, "its on and off values are of different samples")
        }
        guard var factor = inputs[0].factor else { return [nil] }
        if factor.axis >= axis { factor.axis += 1 }
        return [factor]
    }

    /// Indices have no gradient.
    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard index == 0 else { throw .unsupported("its on and off values depend on a parameter; use constants") }
        return nil
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let outer = inputs[0].shape[..<axis].elementCount
        let inner = inputs[0].shape[axis...].elementCount
        let (depth, total) = (depth, outputs[0].count)
        func prepared<Element: FixedWidthInteger & BitwiseCopyable & Sendable>(_: Element.Type) -> Kernel {
            Kernel { arguments in
                let indices: UnsafePointer<Int64> = arguments.input(0)
                let values: UnsafePointer<Element> = arguments.input(1)
                let out: UnsafeMutablePointer<Element> = arguments.output(0)
                Layout.fill(out, with: values[0], count: total, pool: arguments.pool)
                for row in 0..<outer {
                    for i in 0..<inner {
                        guard let entry = wrappedIndex(indices[row * inner + i], depth) else { continue }
                        out[(row * depth + entry) * inner + i] = values[1]
                    }
                }
            }
        }
        return prepared(inputs[1].elementType.carrier)
    }
}
