import DPONNX
import Foundation
import Testing

/// Weights to and from the program that a model was exported from.
@Suite struct ConvertCommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func model(_ name: String) -> String { Samples.conversion("\(name).onnx") }
    private func weights(_ name: String) -> String { Samples.conversion("\(name).pt") }

    @Test func weightsGoInAndComeBack() throws {
        let (trained, state) = (folder.file("trained.onnx"), folder.file("state.safetensors"))
        let into = try CommandRun(
            "convert", model("lstm-ts"), "--weights", weights("lstm-ts.new"), "--reference", weights("lstm-ts"),
            "--output", trained, "--json")
        #expect(into.status == 0 && into.json?["output"] as? String == trained, "\(into.errors)")
        let back = try CommandRun(
            "convert", trained, "--original", model("lstm-ts"), "--reference", weights("lstm-ts"), "--output", state,
            "--json")
        #expect(back.status == 0 && back.json?["is_complete"] as? Bool == true, "\(back.errors)")
        let (written, wanted) = (try WeightFile(path: state), try WeightFile(path: weights("lstm-ts.new")))
        #expect(Set(written.names) == Set(wanted.names) && !wanted.names.isEmpty)
        for name in wanted.names { #expect(try written.array(name).floats() == wanted.array(name).floats(), "\(name)") }
        let entries = try #require(back.json?["mapped"] as? [[String: Any]])
        #expect(Set(entries.compactMap { $0["name"] as? String }) == Set(wanted.names))
        #expect(entries.contains { $0["layout"] as? String == "reordered" })
    }

    @Test func whatWasFoldedIsTold() throws {
        let output = folder.file("state.safetensors")
        let arguments = [
            "convert", try changed("folded-ts"), "--original", model("folded-ts"), "--reference", weights("folded-ts"),
            "--output", output,
        ]
        let run = try CommandRun(arguments)
        #expect(run.status == 1 && run.output.isEmpty)
        #expect(run.errors.contains("'conv.weight' is missing: batch normalization 'norm' is folded into"))
        #expect(run.errors.contains("do_constant_folding=False"))
        #expect(!FileManager.default.fileExists(atPath: output))
        let partial = try CommandRun(arguments + ["--partial", "--json"])
        #expect(partial.status == 1)
        let missing = try #require(partial.json?["missing"] as? [[String: String]])
        let names = ["conv.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"]
        #expect(Set(missing.compactMap { $0["name"] }) == Set(names))
        let (written, reference) = (try WeightFile(path: output), try WeightFile(path: weights("folded-ts")))
        #expect(try written.array("conv.weight").floats() == reference.array("conv.weight").floats())
        #expect(try written.array("head.weight").floats() != reference.array("head.weight").floats())
    }

    /// A copy of a model whose tensors all have other values.
    private func changed(_ name: String) throws -> String {
        let original = try LoadedModel(path: model(name), untie: false, retie: false)
        var values: [String: [Float]] = [:]
        for tensor in original.graph.initializers where tensor.dataType == .float32 {
            values[tensor.name] = try tensor.load().floatValues.map { $0 + 1 }
        }
        let path = folder.file("changed.onnx")
        try original.file.save(to: path, applying: ONNXEdits(values: values))
        return path
    }

    @Test func optionsThatContradictEachOther() throws {
        let (onnx, pt) = (model("lstm-ts"), weights("lstm-ts"))
        let output = folder.file("state.safetensors")
        for arguments in [
            ["--original", onnx, "--output", output], ["--reference", pt, "--output", output],
            ["--original", onnx, "--reference", pt, "--output", folder.file("state.pt")],
            ["--weights", pt, "--output", output], ["--weights", pt, "--original", onnx, "--output", output],
            ["--original", onnx, "--reference", pt],
        ] {
            let run = try CommandRun(["convert", onnx] + arguments)
            #expect(run.status == 64, "\(arguments)")
        }
        let overItself = try CommandRun("convert", onnx, "--weights", pt, "--reference", pt, "--output", onnx)
        #expect(overItself.status == 73)
        let absent = try CommandRun(
            "convert", onnx, "--original", onnx, "--reference", "absent.pt", "--output", output)
        #expect(absent.status == 66 && absent.errors.contains("absent.pt"))
    }
}
