public import ArgumentParser
public import DPONNX

/// Adapters for a model that has none.
struct AdapterArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Train low-rank adapters instead: lora:rank=8, with alpha=16 and a pattern of weights if wanted, as in lora:rank=8,alpha=16:encoder.* (repeats). --trainable adds to them.",
            valueName: "adapter"))
    var adapter: [AdapterSpecification] = []

    @Flag(help: "Write adapters as nodes of the file; otherwise they are merged into the weights.")
    var keepAdapter = false

    func validate() throws {
        if keepAdapter, adapter.isEmpty { throw ValidationError("--keep-adapter needs --adapter") }
    }

    /// The model with its adapters, and what trains.
    /// - Throws: `SelectionError` or `UsageError` for adapters that the model cannot have.
    func apply(to model: LoadedModel, _ selection: SelectionArguments) throws -> (LoadedModel, names: [String]) {
        let selection = ParameterSelection(trainable: selection.trainable, frozen: selection.frozen)
        let (adapted, names) = try model.adapted(by: adapter, areKept: keepAdapter, beside: selection)
        if let adapters = adapted.adapters { note("\(adapters.adapters.count) weights have adapters") }
        return (adapted, names)
    }
}

extension AdapterSpecification: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
