import Kernels
public import TensorGraph

/// ||G_i||^2 of the weight of a convolution, from x [B,C,...] and the output gradient g [B,M,...]: [B], float64.
public struct ConvolutionNorms: BackwardOperation {
    public let rule: NormRule
    public let geometry: ConvolutionGeometry
    public let weightShape: [Int]

    public init(_ rule: NormRule, _ geometry: ConvolutionGeometry, weightShape: [Int]) {
        self.rule = rule
        self.geometry = geometry
        self.weightShape = weightShape
    }

    public var description: String { "convolution norms, \(rule), weight \(weightShape), \(geometry)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        [TensorType(.float64, [try geometry.checkedSizes(inputs, weight: weightShape).batch])]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = geometry.knownSizes(input: inputs[0].shape, weight: weightShape)
        let batch = size.batch
        switch rule {
        case .ghost:
            let scratch = convolutionGhostNormsScratchCount(size, workers: threads)
            let work = 2 * Double(batch) * ConvolutionSite.ghostMultiplyAdds(size)
            return Kernel(scratchBytes: 4 * scratch, operationCount: work) { arguments in
                let norms = arguments.output(0, as: Double.self)
                norms.update(repeating: 0, count: batch)
                convolutionGhostNorms(
                    size, x: arguments.input(0), g: arguments.input(1), into: norms, scratch: arguments.floatScratch,
                    pool: arguments.pool)
            }
        case .instantiated:
            let scratch = convolutionInstantiatedNormsScratchCount(size, workers: threads)
            let work = 2 * Double(batch) * size.sampleMultiplyAdds
            return Kernel(scratchBytes: 4 * scratch, operationCount: work) { arguments in
                let norms = arguments.output(0, as: Double.self)
                norms.update(repeating: 0, count: batch)
                convolutionInstantiatedNorms(
                    size, x: arguments.input(0), g: arguments.input(1), into: norms, scratch: arguments.floatScratch,
                    pool: arguments.pool)
            }
        }
    }
}

/// Every sample's own weight gradient, from x [B,C,...] and g [B,M,...]: [B] + weightShape.
public struct ConvolutionPerSampleGradients: BackwardOperation {
    public let geometry: ConvolutionGeometry
    public let weightShape: [Int]

    public init(_ geometry: ConvolutionGeometry, weightShape: [Int]) {
        self.geometry = geometry
        self.weightShape = weightShape
    }

    public var description: String { "convolution per-sample gradients, weight \(weightShape), \(geometry)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        [TensorType(.float32, [try geometry.checkedSizes(inputs, weight: weightShape).batch] + weightShape)]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = geometry.knownSizes(input: inputs[0].shape, weight: weightShape)
        let scratch = convolutionPerSampleWeightGradientScratchCount(size, workers: threads)
        let work = 2 * Double(size.batch) * size.sampleMultiplyAdds
        return Kernel(scratchBytes: 4 * scratch, operationCount: work) { arguments in
            convolutionPerSampleWeightGradient(
                size, x: arguments.input(0), g: arguments.input(1), dw: arguments.output(0),
                scratch: arguments.floatScratch, pool: arguments.pool)
        }
    }
}

/// sum_i c_i G_i of the weight of a convolution, from x [B,C,...], g [B,M,...] and factors c [B]. A sample whose factor
/// is zero is not read.
public struct ConvolutionContraction: BackwardOperation, AccumulatingOperation {
    public let geometry: ConvolutionGeometry
    public let weightShape: [Int]

    public init(_ geometry: ConvolutionGeometry, weightShape: [Int]) {
        self.geometry = geometry
        self.weightShape = weightShape
    }

    public var description: String { "convolution contraction, weight \(weightShape), \(geometry)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let size = try geometry.checkedSizes(inputs, weight: weightShape)
        guard inputs[2] == TensorType(.float32, [size.batch]) else {
            throw .invalid("\(inputs[2]) does not hold one factor for each of \(size.batch) samples")
        }
        return [TensorType(.float32, weightShape)]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = geometry.knownSizes(input: inputs[0].shape, weight: weightShape)
        let scratch = convolutionWeightGradientScratchCount(size, workers: threads)
        let work = 2 * Double(size.batch) * size.sampleMultiplyAdds
        return Kernel(scratchBytes: 4 * scratch, operationCount: work) { arguments in
            convolutionWeightGradient(
                size, x: arguments.input(0), g: arguments.input(1), factors: arguments.input(2),
                dw: arguments.output(0), accumulate: arguments.accumulates, scratch: arguments.floatScratch,
                pool: arguments.pool)
        }
    }
}

extension ConvolutionGeometry {
    /// The sizes for an input and an output gradient that must fit the weight.
    func checkedSizes(_ inputs: [TensorType], weight: [Int]) throws(GraphError) -> ConvolutionShape {
        let size = try sizes(input: inputs[0].shape, weight: weight)
        guard inputs[0].elementType == .float32,
            inputs[1] == TensorType(.float32, [size.batch, size.outChannels] + size.outSpatial)
        else { throw .invalid("\(inputs[1]) is not the output gradient of a convolution of \(inputs[0])") }
        return size
    }

    /// The sizes of tensors that have been checked before.
    func knownSizes(input: [Int], weight: [Int]) -> ConvolutionShape {
        do {
            return try sizes(input: input, weight: weight)
        } catch {
            preconditionFailure("\(error)")
        }
    }
}
