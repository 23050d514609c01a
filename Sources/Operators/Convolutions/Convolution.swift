import Kernels
public import TensorGraph

/// Cross-correlation of x [B, C, spatial...] with a weight [M, C/groups, kernel...] (ONNX `Conv` without bias).
public struct Convolution: ExecutableOperation {
    public let geometry: ConvolutionGeometry

    public init(_ geometry: ConvolutionGeometry) { self.geometry = geometry }

    public var description: String { "convolution, \(geometry)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs.allSatisfy({ $0.elementType == .float32 }) else {
            throw .invalid("a convolution needs float tensors, not \(inputs[0]) and \(inputs[1])")
        }
        let size = try geometry.sizes(input: inputs[0].shape, weight: inputs[1].shape)
        return [TensorType(.float32, [size.batch, size.outChannels] + size.outSpatial)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        if let factor = inputs[0].factor, factor.axis == 1 { return [try sampleByGroups(inputs, factor)] }
        if let factor = inputs[1].factor {
            throw BatchMixing(axis: factor.axis, "its weight is computed from the samples")
        }
        guard let factor = inputs[0].factor else { return [nil] }
        guard factor.axis == 0 else { throw BatchMixing(axis: factor.axis, "it slides over the batch") }
        return [factor]
    }

    /// Samples side by side in the channels, as where each has a kernel of its own: they stay apart if every group of
    /// channels belongs to one sample, and its kernels too.
    private func sampleByGroups(_ inputs: [BatchOperand], _ factor: BatchFactor) throws(BatchMixing) -> BatchFactor {
        let (weight, width) = (inputs[1], inputs[1].type.shape[1])
        guard factor.inner % width == 0 else {
            throw BatchMixing(axis: 1, "it sums over channels that hold the batch")
        }
        let kernels = weight.type.shape[0] / geometry.groups
        let own = BatchFactor(axis: 0, outer: factor.outer, inner: factor.inner / width * kernels)
        guard weight.factor.map({ $0 == own }) ?? weight.isUniform(along: own, axis: 0) else {
            throw BatchMixing(axis: 1, "its weight differs by the position of a sample in the batch")
        }
        return BatchFactor(axis: 1, outer: own.outer, inner: own.inner)
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        let (x, weight) = (node.inputs[0], node.inputs[1])
        if index == 0 {
            return try builder.emit(
                ConvolutionInputGradient(geometry, inputShape: builder.shape(of: x)), gradient, weight)
        }
        let factors = builder.addConstant(
            Constant([Float](repeating: 1, count: builder.shape(of: x)[0])))
        return try builder.emit(
            ConvolutionContraction(geometry, weightShape: builder.shape(of: weight)), x, gradient, factors)
    }

    public func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        let gradient = try node.outputGradient(ofConvolutionBy: index, outputGradients)
        let x = node.inputs[0]
        return try builder.convolutionSite(
            x: x, g: gradient, images: x, geometry, weightShape: builder.shape(of: node.inputs[1]))
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        try builder.collapsedImages(node, axis: axis)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = geometry.knownSizes(input: inputs[0].shape, weight: inputs[1].shape)
        let scratch = convolutionForwardScratchCount(size, workers: threads)
        let work = 2 * Double(size.batch) * size.sampleMultiplyAdds
        return Kernel(scratchBytes: 4 * scratch, operationCount: work) { arguments in
            convolutionForward(
                size, x: arguments.input(0), w: arguments.input(1), out: arguments.output(0),
                scratch: arguments.floatScratch, pool: arguments.pool)
        }
    }
}
