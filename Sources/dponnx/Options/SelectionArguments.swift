import ArgumentParser
import DPONNX

/// Which initializers train.
struct SelectionArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Initializers to train: a name, a pattern, or a preset: all, bias, last-layer, norm (repeats).", valueName: "glob"))
    var trainable: [String] = []

    @Option(help: ArgumentHelp("Initializers to leave as they are (repeats).", valueName: "glob"))
    var frozen: [String] = []

    func names(in model: LoadedModel) throws -> [String] {
        let all = model.graph.initializers.filter { $0.dataType.storage == .float32 && !$0.shape.isEmpty }.map(\.name)
        return trainable.isEmpty ? all : all.filter(trainable.contains)
    }
}
extension ModelArguments {
    func load(_ selection: SelectionArguments) throws -> LoadedModel { try LoadedModel(path: model) }
}
