import ArgumentParser
import DPONNX

struct GradientsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gradients",
        abstract: "Writes losses, norms, factors and clipped sums without noise. NOT PRIVATE.",
        discussion: """
            For verification against another implementation: loss [B], norms [B], factors [B] ([B, groups] unless the \
            style is flat), and grad/<initializer>, the clipped sum over all samples. No noise is added, so the result \
            is NOT PRIVATE. With --group-by B counts groups, in the order of their first rows.

            Example: dponnx gradients model.onnx --data batch.npz --clip-norm 0.5 --output gradients.npz
            """)

    @OptionGroup var model: ModelArguments
    @OptionGroup var data: DataArguments
    @OptionGroup var selection: SelectionArguments
    @OptionGroup var clipping: ClippingArguments
    @OptionGroup var resources: ResourceArguments

    @Option(help: ArgumentHelp("Where the arrays go: .npz or .safetensors.", valueName: "file"))
    var output: String

    func run() throws {
        try reportingFailures {
            let pool = resources.makePool()
            let loaded = try selection.load(model)
            let loss = try data.specification(for: loaded)
            let set = try data.load(for: loaded, model.inputOptions)
            let names = try selection.names(in: loaded)
            let clipping = try self.clipping.options(for: names)
            let trainable = try loaded.trainable(names, for: set, model.inputOptions)
            try loaded.refuseToOverwrite(output)
            let batch = try PhysicalBatch(
                wished: resources.physicalBatchSize, expectedBatchSize: set.sampleCount,
                memoryLimit: resources.memoryBytes,
                model: trainable, loss: loss, clipping: clipping, data: set, pool: pool)
            let engine = try GradientEngine(
                trainable, loss: loss, clipping: clipping, data: set, batchSize: batch.rows, saving: batch.saving,
                parameters: trainable.makeParameters(), pool: pool)
            let samples = try engine.accumulate(Array(0..<set.sampleCount))
            let left = samples.count { !$0.loss.isFinite || $0.norm?.isFinite == false }
            if left > 0 { warn("\(left) of \(samples.count) samples are left out: loss or gradient is not finite") }
            warn("\(output) is NOT PRIVATE: it holds gradients without noise")
            try writeArrays(arrays(samples, engine), to: output, permissions: 0o600)
        }
    }

    private func arrays(_ samples: [GradientEngine.SampleReport], _ engine: GradientEngine)
        -> [(name: String, value: Constant)]
    {
        let groups = engine.step.groups.count
        let isFlat = clipping.clippingStyle == .flat
        var arrays = [
            ("loss", Constant(samples.map(\.loss))),
            // Ordinary gradients come without norms.
            ("norms", Constant(samples.map { $0.norm ?? .nan })),
            ("factors", Constant(samples.flatMap(\.factors), shape: [samples.count] + (isFlat ? [] : [groups]))),
        ]
        for name in engine.parameters.names {
            arrays.append(("grad/\(name)", Constant(Array(engine.sum(of: name)), shape: engine.shape(of: name))))
        }
        return arrays
    }
}
