import DPONNX
import Foundation
import Testing

/// Low-rank adapters added to exported models: y = x W + s (x A) B.
@Suite struct AdapterTests {
    private let pool = ThreadPool(threads: 1)
    /// Both exporters; weights behind Transpose nodes, in MatMul and in Gemm, merged by the exporter and not.
    private static let names = ["mlp", "bert", "bert_torchscript", "vit_torchscript", "speaker"]

    private func adapted(_ name: String, _ specification: String) throws -> LoadedModel {
        try ExportedModel(name).load().adapted(
            by: [try #require(AdapterSpecification(specification))], generator: SeededRandomGenerator(seed: 5))
    }

    private func run(_ model: LoadedModel, _ data: DataSet, _ weights: [(name: String, value: Constant)]) throws
        -> [Float]
    {
        let trainable = try model.trainable(weights.map(\.name), for: data, InputOptions())
        return try ForwardRunner(trainable, parameters: ParameterMemory(weights), pool: pool)
            .run(data, batchSize: 5)[0].value.floatValues
    }

    /// Adapters change nothing before they are trained; merged into the weights or kept as nodes they change the same.
    @Test(arguments: names, ["lora:rank=2", "lora:rank=3,alpha=6"])
    func mergedAndKept(_ name: String, _ specification: String) throws {
        let model = try adapted(name, specification)
        let data = try ExportedModel(name).data(for: model)
        let adapters = try #require(model.adapters)
        try adapters.checkCanBeKept()
        let untrained = try model.graph.initializers.filter { adapters.names.contains($0.name) }.map {
            (name: $0.name, value: try $0.load())
        }
        let oracle = try ExportedModel(name).oracle("output")
        #expect(largestError(try run(model, data, untrained), oracle, floor: 1) < 1e-4)

        let generator = SeededRandomGenerator(seed: 9)
        let trained = untrained.map { name, value in
            let values = value.floatValues.map { $0 + Float(generator.next() >> 40) * 0x1p-24 - 0.5 }
            return (name: name, value: Constant(values, shape: value.type.shape))
        }
        let expected = try run(model, data, trained)
        #expect(largestError(expected, oracle, floor: 1) > 1e-2)
        for keeps in [false, true] {
            let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).onnx").path
            defer { try? FileManager.default.removeItem(atPath: path) }
            try model.save(
                trained.map { ($0.name, $0.value.floatValues) }, statement: statement, to: path, keepsAdapters: keeps)
            let saved = try LoadedModel(path: path, untie: false, retie: false)
            #expect(largestError(try run(saved, data, []), expected.map(Double.init), floor: 1) < 1e-5, "\(keeps)")
            let added = keeps ? adapters.adapters.count * (specification.contains("alpha") ? 4 : 3) : 0
            #expect(saved.file.graph.nodes.count >= model.file.graph.nodes.count + added)
            #expect(keeps || saved.file.graph.nodes.count == model.file.graph.nodes.count)
        }
    }

    private var statement: PrivacyStatement {
        PrivacyStatement(
            mechanism: PrivacyMechanism(
                sampler: .poisson(rate: 0.1), clippingNorm: 1, noiseMultiplier: 1, steps: 1, datasetSize: 10),
            clippingFunction: "abadi", clippingStyle: "flat", accountant: .rdp, delta: 1e-5)
    }

    @Test(arguments: names)
    func gradientsOfAdaptersAreRight(_ name: String) throws {
        let model = try adapted(name, "lora:rank=2")
        let data = try ExportedModel(name).data(for: model)
        let trainable = try model.trainable(model.adapters!.names, for: data, InputOptions())
        let report = try GradientVerifier(
            trainable, loss: LossSpecification(), clipping: ClippingOptions(), data: data, samples: 4,
            memoryLimit: 1 << 30, pool: pool
        ).verify()
        #expect(report.passes, "\(report.comparisons.filter { !$0.passes })")
    }

    @Test func patternsChooseWeights() throws {
        let all = try adapted("bert", "lora:rank=2").adapters!.adapters
        #expect(all.count > 4 && all.allSatisfy { $0.inputSize > 0 && $0.outputSize > 0 })
        let first = try adapted("bert", "lora:rank=2:\(all[0].weight)").adapters!.adapters
        #expect(first.map(\.weight) == [all[0].weight])
        #expect(throws: SelectionError.self) { try adapted("bert", "lora:rank=2:nothing*") }
        #expect(throws: SelectionError.self) { try adapted("mlp", "lora:rank=2:0.bias") }
    }

    @Test func specifications() {
        #expect(AdapterSpecification("lora:rank=8") == AdapterSpecification(rank: 8))
        #expect(
            AdapterSpecification("lora:rank=8,alpha=16:a:b*")
                == AdapterSpecification(rank: 8, alpha: 16, pattern: "a:b*"))
        for text in ["", "lora", "lora:", "lora:rank=0", "lora:rank=x", "lora:alpha=2", "lora:rank=2:", "ia3:rank=2"] {
            #expect(AdapterSpecification(text) == nil, "\(text)")
        }
    }
}
