import Kernels
public import TensorGraph

/// The mean of each window of x [N, C, spatial...], over the entries in it or, with `countsPads`, over its pads too.
public struct AveragePooling: ExecutableOperation {
    public let geometry: PoolingGeometry
    public let countsPads: Bool

    public init(_ geometry: PoolingGeometry, countsPads: Bool) {
        self.geometry = geometry
        self.countsPads = countsPads
    }

    public var description: String { "average pooling\(countsPads ? " with pads" : ""), \(geometry)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        [TensorType(.float32, try geometry.outputShape(inputs[0]))]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try geometry.batchFactor(inputs[0])]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        let shape = builder.shape(of: node.inputs[0])
        return try builder.emit(AveragePoolingGradient(self, inputShape: shape), gradient)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = geometry.sizes(inputs[0].shape)
        return Kernel(operationCount: geometry.work(inputs[0].shape)) { [countsPads] arguments in
            averagePoolForward(
                size, countIncludePad: countsPads, x: arguments.input(0), out: arguments.output(0),
                pool: arguments.pool)
        }
    }
}

/// Gradient of the input of `AveragePooling` from the output gradient.
public struct AveragePoolingGradient: BackwardOperation {
    public let pooling: AveragePooling
    public let inputShape: [Int]

    public init(_ pooling: AveragePooling, inputShape: [Int]) {
        self.pooling = pooling
        self.inputShape = inputShape
    }

    public var description: String { "gradient \(inputShape) of \(pooling)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let input = TensorType(.float32, inputShape)
        guard inputs == (try pooling.outputTypes(for: [input])) else {
            throw .invalid("\(inputs[0]) is not the gradient of a pooling of \(input)")
        }
        return [input]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = pooling.geometry.sizes(inputShape)
        return Kernel(operationCount: pooling.geometry.work(inputShape)) { [pooling] arguments in
            averagePoolBackward(
                size, countIncludePad: pooling.countsPads, g: arguments.input(0), dx: arguments.output(0),
                pool: arguments.pool)
        }
    }
}
