import DPONNX
import Testing

/// A trained model's state without a file in between is the one that its file would give.
@Suite struct StateInMemoryTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A value of its own for every element of every parameter.
    private func changed(_ model: LoadedModel) throws -> [(name: String, values: [Float])] {
        var number: Float = 0
        return try model.parameterFindings().filter(\.isParameter).map { finding in
            let tensor = model.graph.initializers.first { $0.name == finding.name }!
            let values = try tensor.load().floatValues.map { value in
                number += 1
                return value + number / 1024
            }
            return (name: finding.name, values: values)
        }
    }

    @Test(arguments: [
        "encoder-ts", "encoder-dynamo", "lstm-ts", "gru-dynamo", "tied-ts", "tied-dynamo", "packed-ts", "zeroed-ts",
        "shared-ts", "folded-ts", "dropped-dynamo", "parallel-dynamo", "tokens-dynamo",
    ])
    func isThatOfTheFile(_ name: String) throws {
        let model = try LoadedModel(path: Fixture.path("\(name).onnx"))
        let weights = try changed(model)
        let mechanism = PrivacyMechanism(
            sampler: .full, clippingNorm: 1, noiseMultiplier: 1, steps: 1, datasetSize: 2, adjacency: .zeroOut)
        let statement = PrivacyStatement(
            mechanism: mechanism, clippingFunction: "abadi", clippingStyle: "flat", accountant: .rdp, delta: 0.1,
            reasonsNotPrivate: [])
        let path = folder.file("trained.onnx")
        try model.save(weights, statement: statement, to: path)
        let reference = try Fixture.weights(name)
        let converted = try StateConversion(
            trained: LoadedModel(path: path, untie: false, retie: false).graph, original: Fixture.model(name).graph,
            reference: reference)
        let direct = try model.state(weights, like: reference)
        #expect(direct.report.missing.map(\.name) == converted.report.missing.map(\.name))
        #expect(
            !direct.report.mapped.isEmpty && direct.report.mapped.map(\.name) == converted.report.mapped.map(\.name))
        try converted.write(to: folder.file("converted.safetensors"))
        let written = try WeightFile(path: folder.file("converted.safetensors"))
        for tensor in reference.names {
            #expect(try direct.withBytes(of: tensor) { Array($0) } == written.bytes(tensor), "\(tensor)")
        }
        let changed = try reference.names.count { try direct.withBytes(of: $0) { Array($0) } != reference.bytes($0) }
        #expect(changed > 0)
    }

    /// Two names of one tensor cannot have two values: what the repair of false ties took apart is then told.
    @Test func aTensorThatTrainedApartIsTold() throws {
        let model = try LoadedModel(path: Fixture.path("encoder-ts.onnx"))
        let weights = try changed(model)
        let file = try Fixture.weights("encoder-ts")
        let names = ["encoder.layers.0.linear1.weight", "encoder.layers.1.linear1.weight"]
        let reference = try WeightFile(
            path: "memory", arrays: file.names.map { try file.array($0) }, firstNames: [names[1]: names[0]])
        let report = try model.state(weights, like: reference).report
        #expect(report.missing.map(\.name) == [names[1]])
        #expect(report.missing.first?.reason.contains("--no-untie") == true)
        // Trained as one tensor they have one value.
        let tied = try LoadedModel(path: Fixture.path("encoder-ts.onnx"), untie: false)
        #expect(try tied.state(changed(tied), like: reference).report.isComplete)
    }

    /// Whichever of its names a tied tensor bears in the graph, all of them get its values.
    @Test func everyNameOfATensorGetsItsValues() throws {
        let model = try LoadedModel(path: Fixture.path("lstm-ts.onnx"))
        let weights = try changed(model)
        let file = try Fixture.weights("lstm-ts")
        let table = try file.array("table.weight")
        let arrays = try [table.renamed(to: "other.weight")] + file.names.map { try file.array($0) }
        for firstNames in [["table.weight": "other.weight"], ["other.weight": "table.weight"]] {
            let reference = try WeightFile(path: "memory", arrays: arrays, firstNames: firstNames)
            let conversion = try model.state(weights, like: reference)
            #expect(conversion.report.isComplete, "\(conversion.report.missing)")
            let values = try conversion.withBytes(of: "table.weight") { Array($0) }
            #expect(try values != file.bytes("table.weight"))
            #expect(try conversion.withBytes(of: "other.weight") { Array($0) } == values)
        }
    }

    /// Parts of a bias that equal another bias must not vanish because that one has its place already.
    @Test func trainedTensorsThatNobodyTakesAreTold() throws {
        let model = try LoadedModel(path: Fixture.path("cross-ts.onnx"))
        let report = try model.state(changed(model), like: Fixture.weights("cross-ts")).report
        #expect(report.missing.map(\.name) == ["attention.in_proj_bias"])
        #expect(report.missing.first?.reason.contains("do_constant_folding=False") == true)
    }
}
