import ArgumentParser
import DPONNX
import Glibc

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Times training steps on synthetic data.",
        discussion: """
            The data are made from the model's inputs. A step is one physical batch of --batch-size samples: forward, \
            backward, norms, clipped sums, and its share of what is done once per logical batch: noise (unless the mode \
            is non-private) and the optimizer's update. No model is written.

            Example: dponnx bench model.onnx --dim sequence=128 --batch-size 8 --steps 20
            """)

    @OptionGroup var model: ModelArguments
    @OptionGroup(title: "What trains") var selection: SelectionArguments
    @OptionGroup(title: "Clipping") var clipping: ClippingArguments

    @Option(help: "cross-entropy, bce-with-logits, mse, l1, huber, or output:NAME for a loss in the graph.")
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

    @Option(help: ArgumentHelp("Samples per step, computed at once.", valueName: "b"))
    var batchSize = 32

    @Option(
        help: ArgumentHelp("Samples between two updates; default: 256, or --batch-size if larger.", valueName: "b"))
    var logicalBatchSize: Int?

    @Option(help: ArgumentHelp("Steps that are timed, after three that are not.", valueName: "t"))
    var steps = 10

    @Option(help: ArgumentHelp("Threads to compute with; default: all processors.", valueName: "n"))
    var threads: Int?

    @Option(help: ArgumentHelp("Write a trace of one step's nodes, for Perfetto.", valueName: "file"))
    var profile: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard clipping.clipNorm != .infinity else {
            throw ValidationError(
                "--clip-norm must be finite; --clipping-mode non-private times training without clipping")
        }
        guard batchSize >= 1 else { throw ValidationError("--batch-size must be 1 or more") }
        if let logicalBatchSize, logicalBatchSize < batchSize {
            throw ValidationError("--logical-batch-size must not be below --batch-size")
        }
        guard steps >= 1 else { throw ValidationError("--steps must be 1 or more") }
        if let threads, !(1...4096).contains(threads) { throw ValidationError("--threads must be 1 to 4096") }
    }

    func run() throws {
        try reportingFailures {
            let loaded = try selection.load(model)
            try loaded.requireOutput(logits)
            let specification = LossSpecification(loss, logits: logits, classAxis: classAxis)
            let names = try selection.names(in: loaded)
            let benchmark = try StepBenchmark(
                loaded.trainable(names, model.inputOptions), loss: specification,
                clipping: clipping.options(for: names), batchSize: batchSize,
                pool: ThreadPool(threads: threads ?? ThreadPool.availableProcessors))
            let timing = try benchmark.measure(
                steps: steps, logicalBatchSize: logicalBatchSize ?? max(256, batchSize))
            if let profile { try writeTrace(benchmark.profile(), to: profile) }
            if json { try printJSON(Report(timing, benchmark, clipping)) } else { printText(timing, benchmark) }
        }
    }

    private struct Report: Encodable {
        struct Site: Encodable {
            var parameters: [String]
            var site, norm: String
        }
        var mode: String
        var batchSize, steps, threads: Int
        var secondsPerStep: [String: Double]
        var secondsPerUpdate: Double
        var samplesPerSecond, gflopPerSecond: Double
        var sgemmGflopPerSecond: Double
        var predictedPeakBytes, measuredPeakBytes, residentPeakBytes: Int
        var sites: [Site]

        init(_ timing: StepBenchmark.Timing, _ benchmark: StepBenchmark, _ clipping: ClippingArguments) {
            mode = clipping.clippingMode.rawValue
            batchSize = benchmark.batchSize
            steps = timing.steps.count
            threads = benchmark.threads
            secondsPerStep = ["min": timing.steps.min()!, "median": median(timing.steps)]
            secondsPerUpdate = timing.update
            samplesPerSecond = Double(batchSize) / median(timing.steps)
            gflopPerSecond = benchmark.operationCount / median(timing.steps) / 1e9
            sgemmGflopPerSecond = benchmark.measureMatrixProduct() / 1e9
            predictedPeakBytes = benchmark.predictedPeakBytes
            measuredPeakBytes = timing.peakBytes
            residentPeakBytes = timing.residentPeakBytes
            sites = benchmark.rules.map { Site(parameters: $0.parameters, site: $0.site, norm: $0.norm) }
        }
    }

    private func printText(_ timing: StepBenchmark.Timing, _ benchmark: StepBenchmark) {
        var sites = Table(header: ["site", "norm", "parameters"])
        for rule in benchmark.rules { sites.add(rule.site, rule.norm, rule.parameters.joined(separator: ", ")) }
        print(sites.text + "\n")
        let step = median(timing.steps)
        print("seconds per step   \(fixed(timing.steps.min()!, 5)) min, \(fixed(step, 5)) median")
        print("seconds per update \(fixed(timing.update, 5)) (noise and optimizer, once per logical batch)")
        print("samples/s          \(fixed(Double(benchmark.batchSize) / step, 2))")
        let (rate, peak) = (benchmark.operationCount / step / 1e9, benchmark.measureMatrixProduct() / 1e9)
        print(
            "GFLOP/s            \(fixed(rate, 1)), \(fixed(100 * rate / peak, 0)) % of a large matrix product's \(fixed(peak, 1))"
        )
        print(
            "peak memory        \(benchmark.predictedPeakBytes >> 20) MiB predicted, \(timing.peakBytes >> 20) MiB measured"
        )
    }
}

private func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
