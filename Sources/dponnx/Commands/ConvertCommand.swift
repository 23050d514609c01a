import ArgumentParser
import DPONNX

struct ConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert", abstract: "Carries weights between an ONNX model and the program it was exported from.",
        discussion: """
            Writes every tensor of the reference, the state_dict that the original model was exported from, with the \
            trained values under its own name, shape and type. With --weights it goes the other way: new weights of the \
            same program are put into the model. If the exporter folded tensors into others, they are listed, nothing is \
            written, and the exit status is 1.

            Weights are read from .safetensors, .npz, PyTorch's .pt, .pth and .bin, of which nothing is executed, and \
            the .index.json of shards.

            Adapters that training kept as nodes are merged into the weights that they stand beside.

            Without --reference, names and layouts are taken from the graph alone, where it tells them.

            Example: dponnx convert private.onnx --original model.onnx --reference model.safetensors \
            --output private.safetensors
            Example: dponnx convert model.onnx --weights new.pt --reference model.pt --output new.onnx
            """)

    @Argument(
        help: "The trained ONNX model, or the one that weights are put into.", completion: .file(extensions: ["onnx"]))
    var model: String

    @Option(help: ArgumentHelp("The model before training.", valueName: "file"))
    var original: String?

    @Option(help: ArgumentHelp("The state_dict that the model was exported from.", valueName: "file"))
    var reference: String?

    @Option(help: ArgumentHelp("Weights to put into the model.", valueName: "file"))
    var weights: String?

    @Option(
        help: ArgumentHelp(
            "Where the weights go, .safetensors or .npz; with --weights, the new model.", valueName: "file"))
    var output: String

    @Flag(help: "Write the output though tensors are missing; they keep the values they had.")
    var partial = false

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if weights != nil {
            guard original == nil else { throw ValidationError("--original and --weights exclude each other") }
            guard output.lowercased().hasSuffix(".onnx") else {
                throw ValidationError("with --weights, --output takes an .onnx file")
            }
        } else {
            guard (original == nil) == (reference == nil) else {
                throw ValidationError("--original and --reference go together")
            }
            guard [".safetensors", ".npz"].contains(where: output.lowercased().hasSuffix) else {
                throw ValidationError("--output takes a .safetensors or .npz file")
            }
        }
    }

    func run() throws {
        try reportingFailures {
            let loaded = try LoadedModel(path: model, untie: weights != nil, retie: false)
            try loaded.refuseToOverwrite(output)
            if let weights {
                try inject(weights, into: loaded)
            } else if let original, let reference {
                let before = try LoadedModel(path: original, untie: false, retie: false)
                let conversion = try StateConversion(
                    trained: loaded.graph, original: before.graph, reference: WeightFile(path: reference)
                ) {
                    loaded.file.discardExternalPages()
                    before.file.discardExternalPages()
                }
                try finish(conversion.report) { try conversion.write(to: output) }
            } else {
                let conversion = try StateConversion(trained: loaded.graph) { loaded.file.discardExternalPages() }
                try finish(conversion.report) { try conversion.write(to: output) }
            }
        }
    }

    private func inject(_ weights: String, into loaded: LoadedModel) throws {
        let file = try LoadedModel(path: model, untie: false, retie: false)
        let new = try WeightFile(path: weights)
        let release: @Sendable () -> Void = { [repaired = loaded.file, original = file.file] in
            repaired.discardExternalPages()
            original.discardExternalPages()
        }
        let injection =
            if let reference {
                try WeightInjection(
                    loaded.repaired, original: file.graph, weights: new, reference: WeightFile(path: reference),
                    releaseMemory: release)
            } else {
                try WeightInjection(loaded.repaired, original: file.graph, weights: new, releaseMemory: release)
            }
        try finish(injection.report) { try loaded.file.save(to: output, applying: injection.edits(of: loaded.file)) }
    }

    private struct Result: Encodable {
        var mapped: [ConversionReport.Mapped]
        var kept: [ConversionReport.Noted]
        var missing: [ConversionReport.Noted]
        var isComplete: Bool
        /// Nil if nothing was written.
        var output: String?
    }

    /// Writes the output if nothing is missing or that is accepted, and tells what became of every tensor.
    private func finish(_ report: ConversionReport, write: () throws -> Void) throws {
        let isWritten = report.isComplete || partial
        if isWritten { try write() }
        for tensor in report.missing { warn("'\(tensor.name)' is missing: \(tensor.reason)") }
        if json {
            try printJSON(
                Result(
                    mapped: report.mapped, kept: report.kept, missing: report.missing, isComplete: report.isComplete,
                    output: isWritten ? output : nil))
        } else {
            for tensor in report.kept { note("'\(tensor.name)' keeps its value: \(tensor.reason)") }
            let count =
                "\(report.mapped.count) tensors converted, \(report.kept.count) kept, \(report.missing.count) missing"
            if isWritten { print("wrote \(output): \(count)") }
        }
        if !isWritten { writeError("error: nothing is written; --partial writes the tensors that are there") }
        if !report.isComplete { throw ExitCode(ExitStatus.checkFailed.rawValue) }
    }
}
