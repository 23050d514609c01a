import ArgumentParser
import DPONNX

/// Which initializers train.
struct SelectionArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Initializers to train: a name, a pattern, or a preset: all, bias, last-layer, norm (repeats).",
            valueName: "glob"))
    var trainable: [String] = []

    @Option(help: ArgumentHelp("Initializers to leave as they are (repeats).", valueName: "glob"))
    var frozen: [String] = []

    @Flag(
        help: """
            Train tensors that the exporter merged because their values were equal as one, and none that it left out.
            """)
    var noUntie = false

    @Flag(help: "Train copies of embeddings and weights that the exporter made on their own.")
    var noRetie = false

    func load(_ model: ModelArguments) throws -> LoadedModel {
        let loaded = try LoadedModel(
            path: model.model, completes: !noUntie, untie: !noUntie, retie: !noRetie)
        for line in loaded.repaired.notes { note(line) }
        return loaded
    }

    func names(in model: LoadedModel) throws -> [String] {
        try ParameterSelection(trainable: trainable, frozen: frozen)
            .names(in: model.repaired, findings: model.parameterFindings())
    }
}
