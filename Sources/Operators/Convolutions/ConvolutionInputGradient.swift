import Kernels
public import TensorGraph

/// Gradient of the input of a convolution from the output gradient [B, M, spatial...] and the weight.
public struct ConvolutionInputGradient: BackwardOperation {
    public let geometry: ConvolutionGeometry
    /// [B, C, spatial...]
    public let inputShape: [Int]

    public init(_ geometry: ConvolutionGeometry, inputShape: [Int]) {
        self.geometry = geometry
        self.inputShape = inputShape
    }

    public var description: String { "convolution input gradient \(inputShape), \(geometry)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let input = TensorType(.float32, inputShape)
        _ = try geometry.checkedSizes([input, inputs[0]], weight: inputs[1].shape)
        return [input]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = geometry.knownSizes(input: inputShape, weight: inputs[1].shape)
        let scratch = convolutionInputGradientScratchCount(size, workers: threads)
        let work = 2 * Double(size.batch) * size.sampleMultiplyAdds
        return Kernel(scratchBytes: 4 * scratch, operationCount: work) { arguments in
            convolutionInputGradient(
                size, g: arguments.input(0), w: arguments.input(1), dx: arguments.output(0),
                scratch: arguments.floatScratch, pool: arguments.pool)
        }
    }
}
