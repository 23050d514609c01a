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
            "cross-entropy, bce-with-logits, mse, l1, huber, or output:NAME for a loss in the graph.", valueName: "kind"
        ))
    var loss: LossSpecification.Kind = .crossEntropy

    @Option(help: ArgumentHelp("The output that the loss reads; default: the first.", valueName: "output"))
    var logits: String?

    func specification(for model: LoadedModel) throws -> LossSpecification {
        let specification = LossSpecification(loss, logits: logits)
        try model.requireOutput(logits)
        if case .output(let name) = loss { try model.requireOutput(name) }
        return specification
    }

    func load(_ path: String? = nil, for model: LoadedModel, _ options: InputOptions) throws -> DataSet {
        let targetType = LossSpecification(loss).targetType
        return try DataSet(
            ArrayFile(path: path ?? data), inputs: model.inputSlots(options), target: target,
            requiresTarget: targetType != nil)
    }
}

extension LossSpecification.Kind: ExpressibleByArgument {
    public init?(argument: String) { self.init(name: argument) }

    public var defaultValueDescription: String { "cross-entropy" }
}
