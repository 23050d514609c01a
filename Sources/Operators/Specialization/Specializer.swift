import TensorGraph

/// Expands a model's nodes into primitive operations at concrete sizes.
///
/// The model is expanded at the run's batch size and, where its inputs allow another one, first at a reference batch
/// size. Numbers and sizes that differ between the two were computed from the batch size: they may say how large
/// something is, but not enter values, or else a sample's result would depend on the presence of others.
public struct Specializer: Sendable {
    private let model: ImportedGraph
    private let registry: OperatorRegistry
    private let trainable: Set<String>
    private let dropout: DropoutMode

    /// - Parameter trainable: initializers that become parameters of the graph; all others are constants.
    public init(
        _ model: ImportedGraph, registry: OperatorRegistry, trainable: Set<String>, dropout: DropoutMode = .off
    ) {
        self.model = model
        self.registry = registry
        self.trainable = trainable
        self.dropout = dropout
    }

    /// - Parameter reference: the same run at another batch size, or nil if the model fixes the batch size.
    /// - Throws: `GraphError` naming the node that cannot be expanded, or what `Initializer.load` throws.
    public func specialize(_ sizes: RunSizes, reference: RunSizes?) throws -> SpecializedModel {
        guard let reference else { return try specializeGuessing(sizes) }
        precondition(reference.batchSize != sizes.batchSize)
        let (_, expander) = try expand(reference, comparedWith: nil)
        return try expand(sizes, comparedWith: expander.record).model
    }

    /// Expands a model that fixes the batch size: what is repeated as often as the batch is large is taken for copies per
    /// sample until that makes samples meet.
    private func specializeGuessing(_ sizes: RunSizes) throws -> SpecializedModel {
        let first = try expand(sizes, comparedWith: nil)
        var (model, guesses) = (first.model, first.expander.guesses)
        while guesses.withdraw(behind: model.builder.mixingNodes, in: model.builder.graph) {
            // What cannot be expanded without the guess is refused as it was with it, for samples that meet.
            guard let next = try? expand(sizes, comparedWith: nil, guesses: guesses) else { return first.model }
            (model, guesses) = (next.model, next.expander.guesses)
        }
        return model.builder.mixingNodes.count < first.model.builder.mixingNodes.count ? model : first.model
    }

    private func expand(
        _ sizes: RunSizes, comparedWith reference: ExpansionRecord?, guesses: RepetitionGuesses = RepetitionGuesses()
    ) throws -> (model: SpecializedModel, expander: NodeExpander) {
        var expander = NodeExpander(
            registry, batchSize: sizes.batchSize, comparedWith: reference, dropout: dropout, guesses: guesses)
        let scope = NameScope()
        let needed = model.neededNodes
        for input in model.inputs {
            guard let shape = sizes.inputShapes[input.name] else {
                throw GraphError(.invalid, "no shape is given for it", at: "input '\(input.name)'")
            }
            guard let type = input.dataType.storage else {
                throw GraphError(
                    .unsupported, "inputs of type \(input.dataType) are not computed with", at: "input '\(input.name)'")
            }
            let value =
                if sizes.batchFreeInputs.contains(input.name) {
                    expander.builder.addInput(input.name, TensorType(type, shape), batch: nil)
                } else {
                    try addInput(
                        input.name, TensorType(type, shape), sizes.batchAxis(of: input.name), &expander.builder)
                }
            scope[input.name] = .tensor(value)
            scope.setElementType(input.dataType, of: input.name)
        }
        let readNames = Set(needed.flatMap { $0.inputs + $0.capturedNames }).union(model.outputs.map(\.name))
        for initializer in model.initializers where readNames.contains(initializer.name) {
            let value =
                if trainable.contains(initializer.name) {
                    expander.builder.addParameter(initializer.name, TensorType(.float32, initializer.shape))
                } else {
                    expander.builder.addConstant(try initializer.load())
                }
            scope[initializer.name] = .tensor(value)
            scope.setElementType(initializer.dataType, of: initializer.name)
        }
        for (name, value) in scope.own { expander.note(name, value.tensor!) }
        try expander.expand(needed, in: scope)
        var outputs: [(name: String, value: ValueID)] = []
        for output in model.outputs {
            guard let value = scope[output.name] else {
                throw GraphError(.invalid, "no node computes it", at: "output '\(output.name)'")
            }
            guard let tensor = value.tensor else {
                throw GraphError(
                    .unsupported, "is no tensor; only tensors can leave a model", at: "output '\(output.name)'")
            }
            outputs.append((output.name, tensor))
        }
        let values = scope.own.compactMapValues(\.tensor)
        return (SpecializedModel(builder: expander.builder, values: values, outputs: outputs), expander)
    }

    /// Adds an input that is fed with samples first, and moves the samples to the axis where the model wants them.
    private func addInput(_ name: String, _ type: TensorType, _ axis: Int, _ builder: inout GraphBuilder)
        throws(GraphError) -> ValueID
    {
        guard type.shape.indices.contains(axis) else {
            throw GraphError(.invalid, "has no axis \(axis) that could hold the batch", at: "input '\(name)'")
        }
        var fed = type.shape
        fed.remove(at: axis)
        let input = builder.addInput(
            name, type.with(shape: [type.shape[axis]] + fed), batch: BatchFactor(axis: 0))
        var permutation = Array(1..<type.rank)
        permutation.insert(0, at: axis)
        return try builder.transpose(input, permutation)
    }
}
