import Kernels
public import Operators
public import TensorGraph

/// Which loss a model is trained with, and what of the model it reads.
public struct LossSpecification: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// Softmax cross-entropy with integer targets, -100 ignored; a sample's loss is the mean over its positions.
        case crossEntropy
        /// Binary cross-entropy of logits with targets in 0...1.
        case binaryCrossEntropy
        case meanSquaredError
        case meanAbsoluteError
        /// Quadratic below 1, linear above (PyTorch's HuberLoss with delta 1).
        case huber
        /// The graph computes the loss itself: an output with one entry per sample, or several that are averaged.
        case output(String)
    }

    public var kind: Kind
    /// The output that the loss reads; nil for the only or first one.
    public var logits: String?
    /// The axis of the output that holds the classes, counted from the end if negative; nil for the one that the targets
    /// leave over, and where that may be several, axis 1, as in PyTorch.
    public var classAxis: Int?

    public init(_ kind: Kind = .crossEntropy, logits: String? = nil, classAxis: Int? = nil) {
        self.kind = kind
        self.logits = logits
        self.classAxis = classAxis
    }

    /// Name of the graph input that holds the targets.
    public static let targets = "dponnx.targets"

    /// How targets are stored; nil if the loss has none.
    public var targetType: ElementType? {
        switch kind {
        case .crossEntropy: .int64
        case .binaryCrossEntropy, .meanSquaredError, .meanAbsoluteError, .huber: .float32
        case .output: nil
        }
    }
}

/// A model's forward graph with a loss per sample.
public struct LossGraph {
    public var builder: GraphBuilder
    /// [B]
    public let loss: ValueID
    /// What the loss reads: logits with the classes last, [B, T, classes], or predictions [B, ...].
    public let prediction: ValueID
}

extension LossSpecification {
    /// Appends the loss to a model's graph.
    ///
    /// - Parameter targetShape: shape of one sample's target, without the batch axis; nil if there is no target.
    /// - Throws: `GraphError` `invalid` if output and targets do not fit, naming both shapes.
    public func append(to model: SpecializedModel, targetShape: [Int]?) throws(GraphError) -> LossGraph {
        var builder = model.builder
        let (name, output) = try chosenOutput(of: model)
        builder.origin = Origin(operatorType: "loss", name: name)
        let factor: BatchFactor
        switch builder.graph[output].batch {
        case .factor(let own): factor = own
        case .mixed: throw builder.mixingNodes(before: output)[0].error
        case .free:
            throw GraphError(.invalid, "does not depend on the inputs, so it cannot be trained", at: "output '\(name)'")
        }
        let shape = builder.shape(of: output)
        guard builder.type(of: output).elementType == .float32,
            shape.isEmpty || factor.batchSize(in: shape) == builder.batchSize
        else {
            throw GraphError(
                .invalid, "is no float tensor with a batch axis, but \(builder.type(of: output))",
                at: "output '\(name)'")
        }
        if case .output = kind {
            return try perSampleOutput(output, factor, builder)
        }
        guard let targetShape else {
            throw GraphError(.invalid, "needs targets, which the data do not have", at: "loss")
        }
        if kind == .crossEntropy { return try crossEntropy(output, factor, targetShape, name, builder) }
        return try elementLoss(output, factor, targetShape, name, builder)
    }

    private func chosenOutput(of model: SpecializedModel) throws(GraphError) -> (String, ValueID) {
        let wanted: String? = if case .output(let name) = kind { name } else { logits }
        guard let wanted else {
            guard let first = model.outputs.first else { throw GraphError.invalid("the model has no output") }
            return first
        }
        guard let output = model.outputs.first(where: { $0.name == wanted }) else {
            let names = model.outputs.map { "'\($0.name)'" }.joined(separator: ", ")
            throw GraphError(
                .invalid, "the model has no output of that name; it has \(names)", at: "output '\(wanted)'")
        }
        return output
    }

    private func perSampleOutput(_ output: ValueID, _ factor: BatchFactor, _ builder: GraphBuilder) throws(GraphError)
        -> LossGraph
    {
        var builder = builder
        let rows = try builder.batchMajor(output, factor, featureAxes: 0)
        let flat = try builder.view(rows, [builder.batchSize, builder.type(of: rows).count / builder.batchSize])
        let loss = try builder.emit(Reduction(.mean, axes: [1], keepsAxes: false), flat)
        return LossGraph(builder: builder, loss: loss, prediction: flat)
    }

    private func crossEntropy(
        _ output: ValueID, _ factor: BatchFactor, _ targetShape: [Int], _ name: String, _ builder: GraphBuilder
    ) throws(GraphError) -> LossGraph {
        var builder = builder
        let shape = builder.shape(of: output)
        guard factor.outer == 1, factor.inner == 1 else {
            throw GraphError(.invalid, "has no axis of its own for the batch", at: "output '\(name)'")
        }
        // The positions of a sample are the axes that are neither batch nor class, in the order of the targets.
        let rest = shape.indices.filter { $0 != factor.axis }
        let candidates = rest.filter { candidate in
            (classAxis.map { $0 < 0 ? $0 + shape.count : $0 } ?? candidate) == candidate
                && rest.filter { $0 != candidate }.map { shape[$0] } == targetShape
        }
        // PyTorch has classes on axis 1; language models have them last. Both fit only if the sizes agree.
        let chosen =
            if let last = candidates.last, last == shape.count - 1 {
                candidates.contains(1) && candidates.count > 1 ? 1 : last
            } else { candidates.first }
        guard let chosen else {
            throw GraphError(
                .invalid,
                "of shape \(shape) has no class axis\(classAxis.map { " \($0)" } ?? "") that leaves targets of shape \(targetShape) per sample; choose another --logits or --loss",
                at: "output '\(name)'")
        }
        let order = [factor.axis] + rest.filter { $0 != chosen } + [chosen]
        let positions = targetShape.elementCount
        let logits = try builder.view(
            try builder.transpose(output, order), [builder.batchSize, positions, shape[chosen]])
        let targets = builder.addInput(
            Self.targets, TensorType(.int64, [builder.batchSize] + targetShape), batch: BatchFactor(axis: 0))
        let rows = try builder.view(targets, [builder.batchSize, positions])
        let loss = try builder.emit(SampleCrossEntropy(), logits, rows)
        return LossGraph(builder: builder, loss: loss, prediction: logits)
    }

    private func elementLoss(
        _ output: ValueID, _ factor: BatchFactor, _ targetShape: [Int], _ name: String, _ builder: GraphBuilder
    ) throws(GraphError) -> LossGraph {
        var builder = builder
        let batch = builder.batchSize
        let rows = try builder.batchMajor(output, factor, featureAxes: 0)
        let count = builder.type(of: rows).count / batch
        guard targetShape.elementCount == count else {
            throw GraphError(
                .invalid, "holds \(count) values per sample, but the targets have shape \(targetShape)",
                at: "output '\(name)'")
        }
        let prediction = try builder.view(rows, [batch, count])
        let input = builder.addInput(
            Self.targets, TensorType(.float32, [batch] + targetShape), batch: BatchFactor(axis: 0))
        let target = try builder.view(input, [batch, count])
        let elements = try elementLosses(prediction, target, &builder)
        let loss = try builder.emit(Reduction(.mean, axes: [1], keepsAxes: false), elements)
        return LossGraph(builder: builder, loss: loss, prediction: prediction)
    }

    private func elementLosses(_ prediction: ValueID, _ target: ValueID, _ builder: inout GraphBuilder)
        throws(GraphError) -> ValueID
    {
        let difference = try builder.subtract(prediction, target)
        switch kind {
        case .meanSquaredError: return try builder.unary(.square, difference)
        case .meanAbsoluteError: return try builder.unary(.abs, difference)
        case .huber:
            // With a = min(|d|, 1): a (|d| - a / 2), which is d^2 / 2 below 1 and |d| - 1/2 above.
            let distance = try builder.unary(.abs, difference)
            let inner = try builder.unary(.clip(low: 0, high: 1), distance)
            let half = try builder.unary(.affine(scale: 0.5, offset: 0), inner)
            return try builder.multiply(inner, try builder.subtract(distance, half))
        case .binaryCrossEntropy:
            // y softplus(-x) + (1 - y) softplus(x): neither overflows nor cancels.
            let positive = try builder.unary(.softplus, try builder.unary(.neg, prediction))
            let negative = try builder.unary(.softplus, prediction)
            let complement = try builder.unary(.affine(scale: -1, offset: 1), target)
            return try builder.add(
                try builder.multiply(target, positive), try builder.multiply(complement, negative))
        case .crossEntropy, .output: preconditionFailure("has no loss element by element")
        }
    }
}
