import Kernels
import TensorGraph

/// ONNX's losses of class indices. Their reductions `mean` and `sum` go over the batch, which the batch rule of the
/// reduction refuses to train; `none` leaves a loss per sample and position.
enum LossOperators {
    static let all: [any OperatorPlugin] =
        [12, 13, 22].map { version in
            StandardOperator("NegativeLogLikelihoodLoss", since: version) { node throws(GraphError) in
                [try loss(&node, try node.input(0))]
            }
        }
        + [12, 13].map { version in
            StandardOperator("SoftmaxCrossEntropyLoss", since: version) { node throws(GraphError) in
                guard node.shape(try node.input(0)).count >= 2 else { throw .invalid("its scores have no classes") }
                let logarithms = try node.emit(Softmax(.logSoftmax, axis: 1), try node.input(0))
                return [try loss(&node, logarithms), logarithms]
            }
        }

    /// - Parameter x: log probabilities [N, C, d...]; input 1 holds classes [N, d...], input 2 a weight for each class.
    private static func loss(_ node: inout Expansion, _ x: ValueID) throws(GraphError) -> ValueID {
        let target = try node.input(1)
        let (shape, targetShape) = (node.shape(x), node.shape(target))
        guard shape.count >= 2, targetShape == Array(shape[..<1]) + Array(shape[2...]),
            node.type(target).elementType == .int64
        else {
            throw .invalid("targets \(node.type(target)) do not fit scores \(node.type(x))")
        }
        var classes = target
        var isIgnored: ValueID?
        if let ignored = try node.int("ignore_index") {
            let mask = try node.builder.compare(.equal, target, node.builder.integer(Int64(ignored)))
            classes = try node.builder.select(mask, node.builder.integer(0), target)
            isIgnored = mask
        }
        let last = shape.count - 1
        let scores = try node.builder.transpose(x, [0] + Array(2..<shape.count) + [1])
        let picked = try node.emit(
            TupleGathering(sharedAxes: last), scores, try node.builder.view(classes, targetShape + [1]))
        var losses = try node.builder.unary(.neg, picked)
        var weights = try node.optionalInput(2).map { weight throws(GraphError) in
            try node.emit(Gathering(axis: 0), weight, classes)
        }
        if let own = weights { losses = try node.builder.multiply(losses, own) }
        if let isIgnored {
            losses = try node.builder.select(isIgnored, node.scalar(0), losses)
            weights = try node.builder.select(isIgnored, node.scalar(0), weights ?? node.scalar(1))
        }
        let axes = Array(targetShape.indices)
        switch try node.string("reduction") ?? "mean" {
        case "none": return losses
        case "sum": return try node.builder.sum(losses, axes: axes)
        case "mean":
            guard let weights else { return try node.emit(Reduction(.mean, axes: axes, keepsAxes: false), losses) }
            return try node.builder.divide(
                try node.builder.sum(losses, axes: axes), try node.builder.sum(weights, axes: axes))
        case let reduction: throw .invalid("reduction '\(reduction)' is none of none, sum and mean")
        }
    }
}
