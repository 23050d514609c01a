import Kernels
public import TensorGraph

/// Slices picked by tuples of coordinates: data [batch..., n1, ..., nr, slice...] and indices [batch..., I..., r] give
/// [batch..., I..., slice...] (ONNX GatherND). Negative coordinates count from the end; a tuple outside of the data reads
/// as `Gathering` says.
public struct TupleGathering: ExecutableOperation {
    /// Leading axes that data and indices share (`batch_dims`; not necessarily the samples' axis).
    public let sharedAxes: Int

    public init(sharedAxes: Int = 0) { self.sharedAxes = sharedAxes }

    public var description: String { "gather slices" + (sharedAxes == 0 ? "" : ", \(sharedAxes) shared axes") }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        try TupleWalk.check(inputs[0], inputs[1], sharedAxes: sharedAxes)
        let slice = inputs[0].shape[(sharedAxes + inputs[1].shape.last!)...]
        return [inputs[0].with(shape: inputs[1].shape.dropLast() + slice)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try TupleWalk.factor(data: inputs[0], indices: inputs[1], sharedAxes: sharedAxes)]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard index == 0, let gradient = outputGradients[0] else { return nil }
        let zeros = builder.zeros(builder.shape(of: node.inputs[0]))
        return try builder.emit(TupleScattering(sharedAxes: sharedAxes, .add), zeros, node.inputs[1], gradient)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let walk = TupleWalk(data: inputs[0].shape, indices: inputs[1].shape, sharedAxes: sharedAxes)
        let size = inputs[0].elementType.size
        let missing = inputs[0].elementType.missingBits
        let width = walk.sliceCount * size
        return Kernel { arguments in
            let indices: UnsafePointer<Int64> = arguments.input(1)
            arguments.pool.forRanges(walk.tuples, grain: max(1, 16384 / max(1, width))) { range, _ in
                for tuple in range {
                    let (place, isMissing) = walk.place(tuple, indices)
                    let out = arguments.outputs[0] + tuple * width
                    if isMissing {
                        for i in 0..<walk.sliceCount {
                            withUnsafeBytes(of: missing.littleEndian) {
                                (out + i * size).copyMemory(from: $0.baseAddress!, byteCount: size)
                            }
                        }
                    } else {
                        out.copyMemory(from: arguments.inputs[0] + place * size, byteCount: width)
                    }
                }
            }
        }
    }
}
