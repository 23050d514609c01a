import DPONNX
import Testing

/// Other weights go into an exported model and come back; PyTorch says what they are and what the model then computes.
@Suite struct RoundTripTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// The fixture's model with its other weights, written to a file.
    private func injected(_ name: String) throws -> (path: String, report: ConversionReport) {
        let path = Fixture.path("\(name).onnx")
        let loaded = try LoadedModel(path: path, retie: false)
        let injection = try WeightInjection(
            loaded.repaired, original: Fixture.model(name).graph, weights: Fixture.weights("\(name).new"),
            reference: Fixture.weights(name))
        let output = folder.file("\(name).onnx")
        try loaded.file.save(to: output, applying: injection.edits(of: loaded.file))
        return (output, injection.report)
    }

    @Test(arguments: [
        "encoder-ts", "encoder-dynamo", "lstm-ts", "lstm-dynamo", "gru-ts", "gru-dynamo", "tied-ts",
        "tied-dynamo", "packed-ts", "zeroed-ts", "shared-ts", "forgetful-ts", "forgetful-dynamo",
        "parallel-dynamo", "tokens-dynamo", "crowd-dynamo", "dropped-dynamo",
        "twins-ts", "square-ts", "square-dynamo",
    ])
    func roundTrip(_ name: String) throws {
        let (path, report) = try injected(name)
        #expect(report.isComplete, "\(report.missing)")
        let data = Fixture.path("\(name).new.npz")
        let expected = try ArrayFile(path: data).array("y").floats()
        let largest = expected.map(\.magnitude).max()!
        for (value, wanted) in zip(try Fixture.outputs(path, data), expected) {
            #expect((value - wanted).magnitude <= 1e-5 * max(largest, 1))
        }

        let conversion = try StateConversion(
            trained: LoadedModel(path: path, untie: false, retie: false).graph, original: Fixture.model(name).graph,
            reference: Fixture.weights(name))
        #expect(conversion.report.isComplete, "\(conversion.report.missing)")
        let kept = Set(conversion.report.kept.map(\.name))
        #expect(kept == (name.hasPrefix("encoder") ? ["steps", "unused.weight", "unused.bias"] : []))
        let state = folder.file("\(name).safetensors")
        try conversion.write(to: state)
        let (written, wanted, reference) = (
            try WeightFile(path: state), try Fixture.weights("\(name).new"), try Fixture.weights(name)
        )
        #expect(Set(written.names) == Set(wanted.names))
        for tensor in wanted.names {
            let array = try written.array(tensor)
            #expect(array.shape == (try wanted.array(tensor).shape), "\(tensor)")
            #expect(array.type == (try wanted.array(tensor).type), "\(tensor)")
            var expected = try kept.contains(tensor) ? reference.bytes(tensor) : wanted.bytes(tensor)
            if tensor == "positions.weight" {
                // The program reads four of nine rows; the exporter kept no others.
                expected = try Array(wanted.bytes(tensor).prefix(96)) + reference.bytes(tensor).dropFirst(96)
            }
            #expect(try written.bytes(tensor) == expected, "\(tensor)")
        }
    }

    /// A batch normalization that the exporter multiplied into a convolution is told tensor by tensor.
    @Test(arguments: ["folded-ts", "folded-dynamo", "plain-ts"])
    func destroyed(_ name: String) throws {
        let names = ["conv.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"]
        let original = try Fixture.model(name)
        let (_, report) = try injected(name)
        #expect(Set(report.missing.map(\.name)) == Set(names))
        #expect(
            report.missing.allSatisfy { $0.reason.contains("'norm' is folded") && $0.reason.contains("export with") })
        // Training changes what is left of them.
        var values: [String: [Float]] = [:]
        for tensor in original.graph.initializers where tensor.dataType == .float32 {
            values[tensor.name] = try tensor.load().floatValues.map { $0 + 1 }
        }
        let trained = folder.file("trained.onnx")
        try original.file.save(to: trained, applying: ONNXEdits(values: values))
        let conversion = try StateConversion(
            trained: LoadedModel(path: trained).graph, original: original.graph, reference: Fixture.weights(name))
        #expect(Set(conversion.report.missing.map(\.name)) == Set(names))
        #expect(Set(conversion.report.mapped.map(\.name)) == ["head.weight", "head.bias"])
        // What did not change need not be known.
        let same = try StateConversion(
            trained: original.graph, original: original.graph, reference: Fixture.weights(name))
        #expect(same.report.isComplete)
    }

    /// A number that the exporter computed from a parameter would stay as it was when the parameter changes.
    @Test(arguments: ["gated-ts", "gated-dynamo"]) func stale(_ name: String) throws {
        let (_, injection) = try injected(name)
        #expect(injection.missing.map(\.name) == ["gate"])
        #expect(injection.missing.first?.reason.contains("1 - 'gate'") == true)
        let original = try Fixture.model(name)
        let gate = try #require(original.graph.initializers.first { $0.name == "gate" })
        let trained = folder.file("trained.onnx")
        try original.file.save(
            to: trained, applying: ONNXEdits(values: ["gate": gate.load().floatValues.map { $0 + 1 }]))
        let conversion = try StateConversion(
            trained: LoadedModel(path: trained).graph, original: original.graph, reference: Fixture.weights(name))
        #expect(conversion.report.missing.map(\.name) == ["gate"])
        // What did not change is right beside it.
        let same = try StateConversion(
            trained: original.graph, original: original.graph, reference: Fixture.weights(name))
        #expect(same.report.isComplete)
    }

    /// What was folded from equal parameters of two modules is one tensor, and both parameters are told.
    @Test func foldedCopies() throws {
        let names = ["layer", "copy"].map { "\($0).parametrizations.weight.original" }
        let (_, injection) = try injected("copies-dynamo")
        #expect(Set(injection.missing.map(\.name)) == Set(names))
        let original = try Fixture.model("copies-dynamo")
        let trained = try LoadedModel(path: Fixture.path("copies-dynamo.onnx"))
        var values: [String: [Float]] = [:]
        for tensor in trained.graph.initializers where tensor.dataType == .float32 {
            values[tensor.name] = try tensor.load().floatValues.map { $0 + 1 }
        }
        let path = folder.file("trained.onnx")
        try trained.file.save(to: path, applying: trained.repaired.edits(values: values))
        let conversion = try StateConversion(
            trained: LoadedModel(path: path, untie: false, retie: false).graph, original: original.graph,
            reference: Fixture.weights("copies-dynamo"))
        #expect(Set(conversion.report.missing.map(\.name)) == Set(names))
    }

    /// A bias that the exporter left out because it was zero need not be in a file that keeps it so.
    @Test func leftOut() throws {
        let graph = try Fixture.model("dropped-dynamo").graph
        let conversion = try StateConversion(
            trained: graph, original: graph, reference: Fixture.weights("dropped-dynamo"))
        #expect(conversion.report.isComplete && conversion.report.kept.isEmpty)
        let file = try ModelImporter.importGraph(of: ONNXModel(path: Fixture.path("dropped-dynamo.onnx")))
        let other = try StateConversion(trained: file, original: file, reference: Fixture.weights("dropped-dynamo"))
        #expect(other.report.isComplete)
        #expect(other.report.kept.map(\.name) == ["first.bias"])
    }

    /// Whoever trains is told which tensors stand for others, too, and which do not any more.
    @Test(arguments: ["crowd-dynamo", "parallel-dynamo", "tokens-dynamo", "square-dynamo", "encoder-dynamo"])
    func mergedCallsAreTold(_ name: String) throws {
        let notes = try LoadedModel(path: Fixture.path("\(name).onnx")).repaired.notes
        #expect(notes.contains { $0.hasPrefix("trained as one") } == name.hasPrefix("crowd"), "\(notes)")
        let isSplit = name.hasPrefix("parallel") || name.hasPrefix("tokens")
        #expect(notes.contains { $0.hasPrefix("took calls apart") } == isSplit, "\(notes)")
    }

    /// Tokens that the exporter merged into one cannot have different values.
    @Test func merged() throws {
        let reference = try Fixture.weights("crowd-dynamo")
        let weights = try WeightFile(
            path: "memory",
            arrays: reference.names.enumerated().map { position, name in
                let array = try reference.array(name)
                return NamedArray(
                    name: name, shape: array.shape, values: array.floats().map { $0 + Float(position) })
            })
        let loaded = try LoadedModel(path: Fixture.path("crowd-dynamo.onnx"), retie: false)
        let injection = try WeightInjection(
            loaded.repaired, original: Fixture.model("crowd-dynamo").graph, weights: weights, reference: reference)
        #expect(injection.report.missing.map(\.name) == ["tokens.1", "tokens.2"])
    }

    /// A tensor that two were computed into may equal one of them, and yet is neither.
    @Test(arguments: ["spoiled-dynamo", "spoiled-ts"]) func spoiled(_ name: String) throws {
        let names: Set = ["first.parametrizations.weight.original0", "first.parametrizations.weight.original1"]
        let (path, injection) = try injected(name)
        #expect(Set(injection.missing.map(\.name)) == names)
        let original = try Fixture.model(name)
        var values: [String: [Float]] = [:]
        for tensor in original.graph.initializers where tensor.dataType == .float32 {
            values[tensor.name] = try tensor.load().floatValues.map { $0 + 1 }
        }
        try original.file.save(to: path, applying: ONNXEdits(values: values))
        let conversion = try StateConversion(
            trained: LoadedModel(path: path).graph, original: original.graph,
            reference: Fixture.weights(name))
        #expect(Set(conversion.report.missing.map(\.name)) == names)
    }

    /// The graph alone tells names, and which matrices the exporter turned around, but not what it joined.
    @Test func withoutReference() throws {
        let path = folder.file("named.onnx")
        let loaded = try LoadedModel(path: Fixture.path("dropped-dynamo.onnx"), retie: false)
        let injection = try WeightInjection(
            loaded.repaired, original: Fixture.model("dropped-dynamo").graph,
            weights: Fixture.weights("dropped-dynamo.new"))
        #expect(injection.report.missing.isEmpty)
        try loaded.file.save(to: path, applying: injection.edits(of: loaded.file))
        try expectOwnNames(path, "dropped-dynamo", missing: 0)

        let (encoder, _) = try injected("encoder-ts")
        try expectOwnNames(encoder, "encoder-ts", missing: 2)
        let conversion = try StateConversion(trained: LoadedModel(path: encoder, untie: false, retie: false).graph)
        let names = conversion.report.mapped.filter { $0.layout == "permuted" }.map(\.name)
        let wanted = ["0.linear1", "0.linear2", "1.linear1", "1.linear2"].map { "encoder.layers.\($0).weight" }
        #expect(Set(names) == Set(wanted))
    }

    /// Converts by the graph alone and compares with the fixture's other state_dict.
    private func expectOwnNames(_ path: String, _ name: String, missing: Int) throws {
        let conversion = try StateConversion(trained: LoadedModel(path: path, untie: false, retie: false).graph)
        #expect(conversion.report.missing.count == missing, "\(conversion.report.missing)")
        let state = folder.file("\(name).npz")
        try conversion.write(to: state)
        let (written, wanted) = (try WeightFile(path: state), try Fixture.weights("\(name).new"))
        #expect(!written.names.isEmpty)
        for tensor in written.names { #expect(try written.bytes(tensor) == wanted.bytes(tensor), "\(tensor)") }
    }

    @Test func otherFilesAreRefused() throws {
        let (lstm, gru) = (try Fixture.model("lstm-ts").graph, try Fixture.model("gru-ts").graph)
        #expect(throws: ConversionError.self) {
            try StateConversion(trained: lstm, original: gru, reference: Fixture.weights("gru-ts"))
        }
        #expect(throws: ConversionError.self) {
            try StateConversion(trained: lstm, original: lstm, reference: Fixture.weights("folded-ts"))
        }
    }
}
