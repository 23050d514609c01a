import Kernels
public import TensorGraph

/// The adjoint of a convolution with respect to its input (ONNX `ConvTranspose` without bias): x [B, C, spatial...] and
/// a weight [C, M/groups, kernel...] give [B, M, outSpatial...].
///
/// What the convolution calls output is the input here and the other way round.
public struct TransposedConvolution: ExecutableOperation {
    /// Of the convolution, whose input has `outSpatial` and M channels.
    public let geometry: ConvolutionGeometry
    public let outSpatial: [Int]

    public init(_ geometry: ConvolutionGeometry, outSpatial: [Int]) {
        self.geometry = geometry
        self.outSpatial = outSpatial
    }

    public var description: String { "transposed convolution to \(outSpatial), \(geometry)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let (x, weight) = (inputs[0].shape, inputs[1].shape)
        guard inputs.allSatisfy({ $0.elementType == .float32 }), weight.count >= 3 else {
            throw .invalid("a transposed convolution needs float tensors with spatial axes, not \(inputs)")
        }
        let output = [x.first ?? 0, weight[1] * geometry.groups] + outSpatial
        let size = try geometry.sizes(input: output, weight: weight)
        guard x == [size.batch, size.outChannels] + size.outSpatial else {
            throw .invalid("an input of shape \(x) does not fit an output of shape \(output) and a weight of \(weight)")
        }
        return [TensorType(.float32, output)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        try Convolution(geometry).batchFactors(inputs, outputs: outputs)
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        let (x, weight) = (node.inputs[0], node.inputs[1])
        if index == 0 { return try builder.emit(Convolution(geometry), gradient, weight) }
        let factors = builder.addConstant(Constant([Float](repeating: 1, count: builder.shape(of: x)[0])))
        return try builder.emit(
            ConvolutionContraction(geometry, weightShape: builder.shape(of: weight)), gradient, x, factors)
    }

    public func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        let gradient = try node.outputGradient(ofConvolutionBy: index, outputGradients)
        return try builder.convolutionSite(
            x: gradient, g: node.inputs[0], images: node.inputs[0], geometry,
            weightShape: builder.shape(of: node.inputs[1]))
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        try builder.collapsedImages(node, axis: axis)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        ConvolutionInputGradient(geometry, inputShape: outputs[0].shape).kernel(
            inputs: inputs, outputs: outputs, threads: threads)
    }
}
