import ArgumentParser
import DPONNX

struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate", abstract: "Computes loss and metrics of a model over a data set.",
        discussion: """
            Metrics fit the loss: accuracy, top-5, perplexity and AUC for classifiers, MSE for regressions. They are \
            computed without noise and not covered by epsilon.

            Example: dponnx evaluate private.onnx --data test.npz --json
            """)

    @OptionGroup var model: ModelArguments
    @OptionGroup var data: DataArguments
    @OptionGroup var resources: ResourceArguments

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        try reportingFailures {
            let loaded = try model.load()
            let loss = try data.specification(for: loaded)
            let set = try data.load(for: loaded, model.inputOptions)
            let evaluator = try Evaluator(
                loaded.trainable([], for: set, model.inputOptions), loss: loss, data: set,
                batchSize: resources.physicalBatchSize ?? 64, parameters: ParameterMemory([]),
                pool: resources.makePool())
            let report = MetricsReport(try evaluator.evaluate())
            if json { try printJSON(report) } else { print(report.text) }
        }
    }
}
