import Kernels
import TensorGraph

/// ONNX `BatchNormalization`.
enum BatchNormalizationOperators {
    static let all: [any OperatorPlugin] =
        [7, 9].map { version in
            StandardOperator("BatchNormalization", since: version) { node throws(GraphError) in
                // Before opset 14 a node that names the statistics among its outputs is in training mode.
                try expand(&node, isTraining: (1...4).contains { node.names(output: $0) })
            }
        }
        + [14, 15].map { version in
            StandardOperator("BatchNormalization", since: version) { node throws(GraphError) in
                try expand(&node, isTraining: try node.flag("training_mode"))
            }
        }

    /// (x - mean) / sqrt(variance + epsilon) * scale + bias per channel (Ioffe and Szegedy 2015).
    ///
    /// With statistics of the batch, the reductions refuse samples that lie on a reduced axis; they accept
    /// [1, B*C, ...], where every sample has its own.
    private static func expand(_ node: inout Expansion, isTraining: Bool) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        guard try node.flag("spatial", default: true) else {
            throw .unsupported("statistics per activation (attribute 'spatial' 0)")
        }
        let channels = shape.count > 1 ? shape[1] : 1
        for index in 1...4 where node.shape(try node.input(index)) != [channels] {
            throw .invalid(
                "input \(index) of shape \(node.shape(try node.input(index))) does not hold \(channels) entries")
        }
        let (inputMean, inputVariance) = (try node.input(3), try node.input(4))
        let epsilon = try node.float("epsilon", default: 1e-5)
        let aligned = [1, channels] + shape.dropFirst(2).map { _ in 1 }
        if !isTraining {
            let centred = try node.builder.subtract(x, try node.builder.view(inputMean, aligned))
            let result = try normalized(
                &node, centred, variance: try node.builder.view(inputVariance, aligned), epsilon)
            return [try node.scaledChannels(result, by: try node.input(1), adding: try node.input(2))]
        }
        let axes = shape.indices.filter { $0 != 1 }
        let mean = try node.emit(Reduction(.mean, axes: axes, keepsAxes: true), x)
        let centred = try node.builder.subtract(x, mean)
        let variance = try node.emit(
            Reduction(.mean, axes: axes, keepsAxes: true), try node.builder.unary(.square, centred))
        let result = try normalized(&node, centred, variance: variance, epsilon)
        let scaled = try node.scaledChannels(result, by: try node.input(1), adding: try node.input(2))
        guard (1...4).contains(where: { node.names(output: $0) }) else { return [scaled] }
        let batchMean = try node.builder.view(mean, [channels])
        let batchVariance = try node.builder.view(variance, [channels])
        return [
            scaled, try running(&node, inputMean, batchMean), try running(&node, inputVariance, batchVariance),
            batchMean, batchVariance,
        ]
    }

    private static func normalized(_ node: inout Expansion, _ centred: ValueID, variance: ValueID, _ epsilon: Float)
        throws(GraphError) -> ValueID
    {
        let shifted = try node.builder.unary(.affine(scale: 1, offset: epsilon), variance)
        return try node.builder.multiply(centred, try node.builder.unary(.rsqrt, shifted))
    }

    /// old * momentum + new * (1 - momentum)
    private static func running(_ node: inout Expansion, _ old: ValueID, _ new: ValueID) throws(GraphError) -> ValueID {
        let momentum = try node.float("momentum", default: 0.9)
        return try node.builder.add(
            try node.builder.unary(.affine(scale: momentum, offset: 0), old),
            try node.builder.unary(.affine(scale: 1 - momentum, offset: 0), new))
    }
}
