import Kernels
public import TensorGraph

/// The largest entry of each window of x [N, C, spatial...], and where it lies in its input plane (flattened in row-major
/// order, the first of equals, -1 in a window of pads only).
public struct MaxPooling: ExecutableOperation {
    public let geometry: PoolingGeometry

    public init(_ geometry: PoolingGeometry) { self.geometry = geometry }

    public var description: String { "max pooling, \(geometry)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let shape = try geometry.outputShape(inputs[0])
        return [TensorType(.float32, shape), TensorType(.int64, shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        let factor = try geometry.batchFactor(inputs[0])
        return [factor, factor]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        return try builder.emit(
            MaxPoolingGradient(geometry, inputShape: builder.shape(of: node.inputs[0])), gradient, node.outputs[1])
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = geometry.sizes(inputs[0].shape)
        return Kernel(operationCount: geometry.work(inputs[0].shape)) { arguments in
            maxPoolForward(
                size, x: arguments.input(0), out: arguments.output(0), indices: arguments.output(1),
                pool: arguments.pool)
        }
    }
}

/// Gradient of the input of `MaxPooling` from the output gradient and the places of the largest entries.
public struct MaxPoolingGradient: BackwardOperation {
    public let geometry: PoolingGeometry
    public let inputShape: [Int]

    public init(_ geometry: PoolingGeometry, inputShape: [Int]) {
        self.geometry = geometry
        self.inputShape = inputShape
    }

    public var description: String { "max pooling gradient \(inputShape), \(geometry)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let input = TensorType(.float32, inputShape)
        let shape = try geometry.outputShape(input)
        guard inputs == [TensorType(.float32, shape), TensorType(.int64, shape)] else {
            throw .invalid("\(inputs[0]) is not the gradient of a pooling of \(input)")
        }
        return [input]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = geometry.sizes(inputShape)
        return Kernel(operationCount: Double(inputs[0].count)) { arguments in
            maxPoolBackward(
                size, g: arguments.input(0), indices: arguments.input(1), dx: arguments.output(0),
                pool: arguments.pool)
        }
    }
}

/// ONNX's `Indices` of `MaxPool`: places in the whole tensor, from places in each plane of [N, C, spatial...].
public struct FlattenedIndices: ExecutableOperation {
    /// Sizes of the spatial axes of the pooled input.
    public let spatial: [Int]
    /// `storage_order` 1: within a plane the first spatial axis varies fastest.
    public let isColumnMajor: Bool

    public init(spatial: [Int], isColumnMajor: Bool) {
        self.spatial = spatial
        self.isColumnMajor = isColumnMajor
    }

    public var description: String { "indices flattened over \(spatial)\(isColumnMajor ? ", column-major" : "")" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] { inputs }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        if let factor = inputs[0].factor {
            throw BatchMixing(axis: factor.axis, "its indices count the samples that stand before")
        }
        return [nil]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? { nil }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (spatial, isColumnMajor) = (spatial, isColumnMajor)
        let plane = spatial.elementCount
        let outPlane = inputs[0].shape.dropFirst(2).elementCount
        let count = inputs[0].count
        return Kernel { arguments in
            let places = arguments.input(0, as: Int64.self)
            let out = arguments.output(0, as: Int64.self)
            for index in 0..<count {
                var place = Int(places[index])
                if isColumnMajor, place >= 0 {
                    var rest = place
                    place = 0
                    for size in spatial.reversed() {
                        place = place * size + rest % size
                        rest /= size
                    }
                }
                out[index] = Int64(index / outPlane * plane + place)
            }
        }
    }
}
