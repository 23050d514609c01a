import DPONNX
import Testing

/// Whole models from both PyTorch exporters against PyTorch.
@Suite struct ExportedModelTests {
    let pool = ThreadPool(threads: 2)

    @Test(arguments: ExportedModel.all) func runsAsInPyTorch(_ exported: ExportedModel) throws {
        let model = try exported.load()
        let data = try exported.data(for: model)
        // Two batch sizes, of which one leaves a padded batch behind.
        for batchSize in [5, 2] {
            let runner = ForwardRunner(
                try model.trainable([], for: data, InputOptions()), parameters: ParameterMemory([]), pool: pool)
            let outputs = try runner.run(data, batchSize: batchSize)
            #expect(outputs.map(\.name) == ["logits"])
            #expect(largestError(outputs[0].value.floatValues, try exported.oracle("output"), floor: 1) < 1e-4)
        }
    }

    @Test(arguments: ExportedModel.all, [ClippingMode.bookKeeping, .bookKeepingGhost, .ghost, .instantiate])
    func clipsAsPyTorchOneSampleAtATime(_ exported: ExportedModel, _ mode: ClippingMode) throws {
        let model = try exported.load()
        let data = try exported.data(for: model)
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let trainable = try model.trainable(names, for: data, InputOptions())
        let clipping = ClippingOptions(mode: mode, clippingNorm: try exported.oracle("clip_norm")[0])
        let engine = try GradientEngine(
            trainable, loss: LossSpecification(), clipping: clipping, data: data, batchSize: 3,
            parameters: trainable.makeParameters(), pool: pool)
        let samples = try engine.accumulate(Array(0..<data.count))
        #expect(largestError(samples.map(\.loss), try exported.oracle("loss")) < 2e-4)
        let norms = try exported.oracle("norms")
        #expect(largestError(samples.map { $0.norm! }, norms) < 2e-4)
        for name in try exported.oracleSums {
            guard names.contains(name) else {
                Issue.record("\(name) does not train")
                continue
            }
            // What cancels to nothing is compared with the whole gradient.
            let error = largestError(
                Array(engine.sum(of: name)), try exported.oracle("sum/\(name)"), floor: 1e-3 * clipping.clippingNorm)
            #expect(error < 1e-3, "\(name)")
        }
    }

    /// As little memory as can be, and the same gradients bit for bit.
    @Test(arguments: ExportedModel.all, [ClippingMode.bookKeeping, .ghost])
    func clipsAlikeWithActivationsComputedAnew(_ exported: ExportedModel, _ mode: ClippingMode) throws {
        let model = try exported.load()
        let data = try exported.data(for: model)
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let trainable = try model.trainable(names, for: data, InputOptions())
        let clipping = ClippingOptions(mode: mode, clippingNorm: try exported.oracle("clip_norm")[0])
        func engine(_ saving: MemorySaving) throws -> GradientEngine {
            try GradientEngine(
                trainable, loss: LossSpecification(), clipping: clipping, data: data, batchSize: 3, saving: saving,
                parameters: trainable.makeParameters(), pool: pool)
        }
        let kept = try engine(MemorySaving())
        let lean = try engine(MemorySaving(activationLimit: 1))
        #expect((lean.recomputedCount > 0) == (lean.peakBytes < kept.peakBytes))
        let rows = Array(0..<data.count)
        let (expected, samples) = (try kept.accumulate(rows), try lean.accumulate(rows))
        #expect(samples.map(\.loss) == expected.map(\.loss) && samples.map(\.norm) == expected.map(\.norm))
        for name in names {
            #expect(Array(lean.sum(of: name)) == Array(kept.sum(of: name)), "\(name)")
        }
    }

    @Test(arguments: ["vit", "convnext", "bert_torchscript"].map(ExportedModel.init))
    func activationsAreComputedAnewWhereTheSmallestBatchDoesNotFit(_ exported: ExportedModel) throws {
        let model = try exported.load()
        let data = try exported.data(for: model)
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let trainable = try model.trainable(names, for: data, InputOptions())
        func batch(within memoryLimit: Int) throws -> PhysicalBatch {
            try PhysicalBatch(
                wished: nil, expectedBatchSize: data.count, memoryLimit: memoryLimit, model: trainable,
                loss: LossSpecification(), clipping: ClippingOptions(), data: data, pool: pool)
        }
        let smallest = try GradientEngine(
            trainable, loss: LossSpecification(), clipping: ClippingOptions(), data: data, batchSize: 2,
            parameters: trainable.makeParameters(), pool: pool)
        let enough = try batch(within: smallest.peakBytes)
        #expect(enough.rows == 2 && enough.saving == MemorySaving())
        let limit = smallest.peakBytes * 9 / 10
        let less = try batch(within: limit)
        #expect(less.rows == 2 && less.saving == MemorySaving(activationLimit: limit))
        let error = #expect(throws: ExecutionError.self) { try batch(within: smallest.peakBytes / 10) }
        #expect("\(error!)".contains("raise --memory-limit"))
    }

    @Test(arguments: ExportedModel.all) func passesTheCheck(_ exported: ExportedModel) throws {
        let model = try exported.load()
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let check = try ModelCheck(model, trainable: names, options: InputOptions())
        #expect(check.problems.isEmpty)
        #expect(check.samplesAreIndependent == true)
        #expect(check.parameters.filter { $0.isTrainable && $0.norm != nil }.count == names.count)
    }
}
