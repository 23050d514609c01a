import Kernels
public import TensorGraph

/// Gradient of the product over `axes`: g, with those axes of size 1, times the product of all other entries. The
/// inputs are g and x. Products from both ends make it exact where entries are 0.
public struct ProductGradient: ExecutableOperation {
    public let axes: [Int]

    public init(axes: [Int]) { self.axes = axes }

    public var description: String { "gradient of the product over \(axes)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        var kept = inputs[1].shape
        for axis in axes { kept[axis] = 1 }
        guard inputs[0] == inputs[1].with(shape: kept), inputs[0].elementType == .float32 else {
            throw .invalid("the gradient \(inputs[0]) does not fit a product over \(axes) of \(inputs[1])")
        }
        return [inputs[1]]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        _ = try BatchRules.along(axes, inputs[1], "reduces")
        return [try BatchRules.elementwise(inputs, outputRank: outputs[0].rank)]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let shape = inputs[1].shape
        let reduced = Self.offsets(shape, axes)
        let kept = Self.offsets(shape, shape.indices.filter { !axes.contains($0) })
        let grain = max(1, 4096 / max(1, reduced.count))
        return Kernel(operationCount: 4 * Double(outputs[0].count)) { arguments in
            let g = arguments.input(0, as: Float.self)
            let x = arguments.input(1, as: Float.self)
            let out = arguments.output(0, as: Float.self)
            arguments.pool.forRanges(kept.count, grain: grain) { range, _ in
                withUnsafeTemporaryAllocation(of: Double.self, capacity: reduced.count) { before in
                    for group in range {
                        var product = Double(g[group])
                        for (step, offset) in reduced.enumerated() {
                            before[step] = product
                            product *= Double(x[kept[group] + offset])
                        }
                        var after = 1.0
                        for (step, offset) in reduced.enumerated().reversed() {
                            let at = kept[group] + offset
                            out[at] = Float(before[step] * after)
                            after *= Double(x[at])
                        }
                    }
                }
            }
        }
    }

    /// The offsets of all entries along some axes of a row-major tensor, the last axis fastest.
    private static func offsets(_ shape: [Int], _ axes: [Int]) -> [Int] {
        let strides = shape.rowMajorStrides
        return axes.reduce([0]) { offsets, axis in
            offsets.flatMap { offset in (0..<shape[axis]).map { offset + $0 * strides[axis] } }
        }
    }
}
