import ArgumentParser
import DPONNX

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Tells whether a model can be trained privately, and if not, why.",
        discussion: """
            Lists the operators with what is supported of them, the parameters with the rule by which their per-sample \
            norms are found, and the nodes at which samples of a batch meet. Exit status 1 if the model cannot be \
            trained privately.

            Example: dponnx check model.onnx
            """)

    @OptionGroup var model: ModelArguments
    @OptionGroup(title: "What trains") var selection: SelectionArguments
    @OptionGroup(title: "Clipping") var clipping: ClippingArguments

    @Option(help: ArgumentHelp("The output that the loss will read; default: the first.", valueName: "output"))
    var logits: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    @Option(help: ArgumentHelp("Write a page with the graph and both tables.", valueName: "file"))
    var html: String?

    func run() throws {
        try reportingFailures {
            let loaded = try selection.load(model)
            try loaded.requireOutput(logits)
            let names = try selection.names(in: loaded)
            let check = try ModelCheck(
                loaded, trainable: names, options: model.inputOptions, output: logits,
                clipping: clipping.options(for: names))
            if let html {
                try loaded.refuseToOverwrite(html)
                let name = model.model.split(separator: "/").last.map(String.init) ?? model.model
                try TextFile.write(CheckPage(check, title: name).html, to: html, ownerOnly: false)
            }
            if json { try printJSON(check.report) } else { printText(check) }
            if !check.canTrainPrivately { throw ExitCode(ExitStatus.checkFailed.rawValue) }
        }
    }

    private func printText(_ check: ModelCheck) {
        var operators = Table(header: ["operator", "count", "forward", "backward", "per-sample rule"])
        for row in check.operators {
            operators.add(
                row.operatorType, "\(row.count)", row.forward.rawValue, row.backward.rawValue, row.perSample.rawValue)
        }
        print(operators.text + "\n")
        var parameters = Table(header: [
            "parameter", "shape", "trains", "site", "norm", "multiply-adds per sample", "because",
        ])
        for row in check.parameters {
            let shape = row.shape.map(String.init).joined(separator: "x")
            parameters.add(
                row.name, shape.isEmpty ? "scalar" : shape, row.isTrainable ? "yes" : "no", row.site ?? "-",
                row.norm ?? "-", row.cost.map { fixed($0, 0) } ?? "-", row.reason)
        }
        print(parameters.text + "\n")
        if let size = check.assumedSize { print("dimensions that nobody gave were taken as \(size); see --dim") }
        if let memory = check.memory {
            print(
                "memory of B samples at once: \(memory.fixedBytes >> 10) KiB + B * \(memory.bytesPerSample >> 10) KiB")
        }
        for name in check.unreached { print("parameter '\(oneLine(name))' does not reach the output") }
        switch check.samplesAreIndependent {
        case true?: print("samples are independent")
        case false?: print("samples are NOT independent")
        case nil: print("whether samples are independent could not be found out")
        }
        for problem in check.problems {
            let place = problem.place.map { "\($0): " } ?? ""
            print(oneLine("problem: \(place)\(problem.message)"))
        }
        print(check.canTrainPrivately ? "the model can be trained privately" : "the model cannot be trained privately")
    }
}
