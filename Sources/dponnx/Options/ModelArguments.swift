import ArgumentParser
import DPONNX

/// The model and what it leaves open.
struct ModelArguments: ParsableArguments {
    @Argument(help: "The ONNX model.", completion: .file(extensions: ["onnx"]))
    var model: String

    @Option(
        help: ArgumentHelp(
            "Axis on which an input's samples lie, where it is not 0 (repeats).", valueName: "input=axis"))
    var batchAxis: [NamedSize] = []

    @Option(
        help: ArgumentHelp("Size of a symbolic dimension that the data do not give (repeats).", valueName: "name=size"))
    var dim: [NamedSize] = []

    var inputOptions: InputOptions {
        InputOptions(
            batchAxes: Dictionary(batchAxis.map { ($0.name, $0.size) }, uniquingKeysWith: { $1 }),
            dimensions: Dictionary(dim.map { ($0.name, $0.size) }, uniquingKeysWith: { $1 }))
    }

    /// The model as it stands in the file, for commands that train nothing.
    func load() throws -> LoadedModel { try LoadedModel(path: model, completes: false, untie: false, retie: false) }
}

/// `NAME=SIZE` on the command line.
struct NamedSize: ExpressibleByArgument {
    let name: String
    let size: Int

    init?(argument: String) {
        guard let separator = argument.lastIndex(of: "="), separator != argument.startIndex,
            let size = Int(argument[argument.index(after: separator)...]), size >= 0
        else { return nil }
        name = String(argument[..<separator])
        self.size = size
    }
}
