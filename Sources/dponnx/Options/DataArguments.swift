public import ArgumentParser
public import DPONNX

/// The data and what is computed from them.
struct DataArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Arrays keyed by input name, samples on the first axis: .npz, .npy, .safetensors, .csv, or MNIST's idx.",
            valueName: "file"))
    var data: String

    @Option(help: ArgumentHelp("Key of the targets.", valueName: "key"))
    var target = "labels"

    @Option(
        help: ArgumentHelp(
            "Array of integers or text: rows of one value form one sample, whose loss is the mean of theirs and which is "
                + "drawn, clipped and protected as one. Samples stand in the order of their first rows.",
            valueName: "key"))
    var groupBy: String?

    @Option(
        help: ArgumentHelp(
            "cross-entropy, bce-with-logits, mse, l1, huber, or output:NAME for a loss in the graph.", valueName: "kind"
        ))
    var loss: LossSpecification.Kind = .crossEntropy

    @Option(help: ArgumentHelp("The output that the loss reads; default: the first.", valueName: "output"))
    var logits: String?

    // A negative axis counts from the end: a number with its sign is no option.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The axis of the output that holds the classes of cross-entropy, where the shapes fit several; default: 1.",
            valueName: "axis"))
    var classAxis: Int?

    func specification(for model: LoadedModel) throws -> LossSpecification {
        let specification = LossSpecification(loss, logits: logits, classAxis: classAxis)
        try model.requireOutput(logits)
        if case .output(let name) = loss { try model.requireOutput(name) }
        return specification
    }

    func load(for model: LoadedModel, _ options: InputOptions) throws -> DataSet {
        try load(data, groupKey: groupBy, for: model, options)
    }

    /// Data of the same form for validation, row by row.
    func loadUngrouped(_ path: String, for model: LoadedModel, _ options: InputOptions) throws -> DataSet {
        try load(path, groupKey: nil, for: model, options)
    }

    private func load(_ path: String, groupKey: String?, for model: LoadedModel, _ options: InputOptions) throws
        -> DataSet
    {
        let targetType = LossSpecification(loss).targetType
        return try DataSet(
            ArrayFile(path: path, textColumn: groupBy), inputs: model.inputSlots(options), target: target,
            requiresTarget: targetType != nil, groupKey: groupKey)
    }
}

extension LossSpecification.Kind: ExpressibleByArgument {
    public init?(argument: String) { self.init(name: argument) }

    public var defaultValueDescription: String { "cross-entropy" }
}
