import DPONNX
import Testing

/// Adapters that a file keeps as nodes come back as part of the weights that they stand beside: W + s A B.
@Suite struct KeptAdapterTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Saves a model with adapters as nodes, and returns what their weights should be.
    private func saved(_ name: String, to path: String) throws -> [[Float]] {
        let model = try LoadedModel(path: Fixture.path("\(name).onnx")).adapted(
            by: [AdapterSpecification(rank: 2, alpha: 6)], generator: SeededRandomGenerator(seed: 3))
        let adapters = try #require(model.adapters)
        var number: Float = 0
        let weights = adapters.names.map { name in
            let tensor = model.graph.initializers.first { $0.name == name }!
            let values = (0..<tensor.shape.reduce(1, *)).map { _ in
                number += 1
                return (number * 0.37).truncatingRemainder(dividingBy: 1) - 0.5
            }
            return (name: name, values: values)
        }
        let mechanism = PrivacyMechanism(
            sampler: .full, clippingNorm: 1, noiseMultiplier: 1, steps: 1, datasetSize: 2, adjacency: .zeroOut)
        let statement = PrivacyStatement(
            mechanism: mechanism, clippingFunction: "abadi", clippingStyle: "flat", accountant: .rdp, delta: 0.1,
            reasonsNotPrivate: [])
        try model.save(weights, statement: statement, to: path, keepsAdapters: true)

        let values = Dictionary(uniqueKeysWithValues: weights.map { ($0.name, $0.values) })
        var expected: [[Float]] = []
        for adapter in adapters.adapters {
            let (down, up) = (values[adapter.down]!, values[adapter.up]!)
            var weight = try model.graph.initializers.first { $0.name == adapter.weight }!.load().floatValues
            for i in 0..<adapter.inputSize {
                for j in 0..<adapter.outputSize {
                    let product = down[2 * i] * up[j] + down[2 * i + 1] * up[adapter.outputSize + j]
                    weight[adapter.isTransposed ? j * adapter.inputSize + i : i * adapter.outputSize + j] += 3 * product
                }
            }
            expected.append(weight)
        }
        #expect(!expected.isEmpty)
        return expected
    }

    @Test(arguments: ["encoder-ts", "encoder-dynamo", "plain-ts"]) func areMerged(_ name: String) throws {
        let path = folder.file("kept.onnx")
        let expected = try saved(name, to: path)
        let reference = try Fixture.weights(name)
        let conversion = try StateConversion(
            trained: LoadedModel(path: path, untie: false, retie: false).graph, original: Fixture.model(name).graph,
            reference: reference)
        #expect(conversion.report.isComplete, "\(conversion.report.missing)")
        #expect(Set(conversion.report.mapped.map(\.name)).isSubset(of: reference.names))
        try conversion.write(to: folder.file("state.npz"))
        let written = try WeightFile(path: folder.file("state.npz"))
        // The exporter may have turned weights around, so elements are compared in order of size.
        var left = expected.map { $0.sorted() }
        for tensor in conversion.report.mapped {
            let (values, before) = (try written.array(tensor.name).floats(), try reference.array(tensor.name).floats())
            if values == before { continue }
            let place = left.firstIndex { wanted in
                wanted.count == values.count && zip(values.sorted(), wanted).allSatisfy { abs($0 - $1) < 1e-5 }
            }
            left.remove(at: try #require(place, "\(tensor.name)"))
        }
        #expect(left.isEmpty)
    }

    /// The program with converted weights computes what the file with its adapters does.
    @Test(arguments: ["encoder-ts", "encoder-dynamo", "plain-ts"]) func computeTheSame(_ name: String) throws {
        let (kept, merged) = (folder.file("kept.onnx"), folder.file("merged.onnx"))
        _ = try saved(name, to: kept)
        let state = folder.file("state.safetensors")
        try StateConversion(
            trained: LoadedModel(path: kept, untie: false, retie: false).graph, original: Fixture.model(name).graph,
            reference: Fixture.weights(name)
        ).write(to: state)
        let loaded = try LoadedModel(path: Fixture.path("\(name).onnx"), retie: false)
        let injection = try WeightInjection(
            loaded.repaired, original: Fixture.model(name).graph, weights: WeightFile(path: state),
            reference: Fixture.weights(name))
        try loaded.file.save(to: merged, applying: injection.edits(of: loaded.file))
        let data = Fixture.path("\(name).new.npz")
        let (wanted, values) = (try Fixture.outputs(kept, data), try Fixture.outputs(merged, data))
        #expect(zip(values, wanted).allSatisfy { abs($0 - $1) < 1e-4 })
        #expect(try Fixture.outputs(Fixture.path("\(name).onnx"), data) != wanted)
    }
}
