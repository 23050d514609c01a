import ONNXFormat
import Operators
import Testing

@testable import Training

@Suite struct ParameterSelectionTests {
    private let model: RepairedGraph
    private let findings: [ParameterFinding]

    init() throws {
        model = try TieRepair.repaired(ParameterModels.graph("layers_torchscript"))
        findings = try ParameterDiscovery.findings(in: model.graph)
    }

    private func names(_ trainable: [String] = [], frozen: [String] = []) throws -> [String] {
        try ParameterSelection(trainable: trainable, frozen: frozen).names(in: model, findings: findings)
    }

    private func message(_ trainable: [String] = [], frozen: [String] = []) -> String? {
        do {
            _ = try ParameterSelection(trainable: trainable, frozen: frozen).names(in: model, findings: findings)
            return nil
        } catch {
            return error.description
        }
    }

    @Test func everyParameterTrainsUnlessToldOtherwise() throws {
        #expect(try names() == findings.filter(\.isParameter).map(\.name))
        #expect(try names(["all"]) == names())
        #expect(try names().count == 12)
    }

    @Test func patternsSelectInTheOrderOfTheFile() throws {
        #expect(
            try names(["head.*", "layers.0.*"]) == [
                "layers.0.norm.weight", "layers.0.norm.bias", "layers.0.fc.bias", "head.bias",
            ])
        #expect(try names(["layers.0.*"], frozen: ["*.bias"]) == ["layers.0.norm.weight"])
        // An untied tensor goes by its old name, too.
        #expect(try names(["norm.weight"]) == ["norm.weight.untied"])
        #expect(try names(["layers.1.norm.*"]) == ["layers.1.norm.weight.untied", "layers.1.norm.bias.untied"])
        #expect(try names(["*.1.fc.bias"]) == ["layers.1.fc.bias.untied"])
    }

    @Test func presets() throws {
        #expect(
            Set(try names(["norm"])) == [
                "layers.0.norm.weight", "layers.0.norm.bias", "norm.weight.untied", "layers.1.norm.weight.untied",
                "norm.bias.untied", "layers.1.norm.bias.untied",
            ])
        #expect(
            Set(try names(["bias"])) == [
                "layers.0.norm.bias", "layers.0.fc.bias", "head.bias", "norm.bias.untied", "layers.1.norm.bias.untied",
                "layers.1.fc.bias.untied",
            ])
        #expect(try names(["last-layer"]) == ["head.bias", "onnx::MatMul_29"])
        #expect(try names(["last-layer", "norm"]).count == 8)
    }

    @Test func mistakesAreNamed() {
        #expect(
            message(["head.bais"])
                == "--trainable 'head.bais' matches no tensor of the model; did you mean 'head.bias'?")
        #expect(message(frozen: ["zzz*"]) == "--frozen 'zzz*' matches no tensor of the model; check lists the names")
        #expect(
            message(["head.bias"], frozen: ["*"])
                == "--frozen leaves nothing to train; --trainable selects nothing else")
    }

    @Test func namesOverrideDiscovery() throws {
        let graph = ParameterModels.graph(
            [
                ParameterModels.tensor("w", [2, 2], [1, 2, 3, 4]), ParameterModels.tensor("w_scale", [], [2]),
                ParameterModels.tensor("shape", [2], [2, 2], type: .int64),
            ],
            [
                ("MatMul", "", ["x", "w"], ["m"]), ("Mul", "", ["m", "w_scale"], ["s"]),
                ("Reshape", "", ["s", "shape"], ["y"]),
            ])
        let model = try TieRepair.repaired(graph)
        let findings = try ParameterDiscovery.findings(in: graph)
        func names(_ pattern: String) throws -> [String] {
            try ParameterSelection(trainable: [pattern]).names(in: model, findings: findings)
        }
        #expect(try names("w_scale") == ["w_scale"])
        // A pattern means parameters if it matches any.
        #expect(try names("w*") == ["w"])
        #expect(try names("*_scale") == ["w_scale"])
        #expect(
            throws: SelectionError(
                "--trainable 'shape': 'shape' holds int64 elements; only floating-point tensors train")
        ) {
            try names("shape")
        }
        #expect(throws: SelectionError("--trainable norm: the model has no such parameters")) { try names("norm") }
    }

    @Test(
        arguments: [
            ("*", "", true), ("*", "a.b/c", true), ("a*", "ba", false), ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("?", "é", true), ("?", "", false), ("[a-c]x", "bx", true), ("[!a-c]x", "bx", false), ("[]]", "]", true),
            ("l.[0-1].*", "l.1.w", true), ("l.[0-1].*", "l.2.w", false), ("\\*", "*", true), ("\\*", "a", false),
            ("a[", "a[", true), ("w[0]", "w[0]", true), ("w[0]", "w0", true),
            ("onnx::MatMul_1?", "onnx::MatMul_12", true),
            ("**", "abc", true), ("abc", "abcd", false),
        ])
    func globs(_ pattern: String, _ name: String, _ isMatch: Bool) {
        #expect(GlobPattern(pattern).matches(name) == isMatch)
    }

    @Test func manyStarsDoNotTakeForever() {
        let pattern = GlobPattern(String(repeating: "*a", count: 60))
        #expect(!pattern.matches(String(repeating: "a", count: 59) + String(repeating: "b", count: 3000)))
    }

    @Test func closeNames() {
        let names = ["encoder.weight", "encoder.bias", "decoder.weight"]
        #expect(CloseNames.suggestions(for: "encoder.wieght", among: names) == ["encoder.weight", "decoder.weight"])
        #expect(CloseNames.suggestions(for: "decoder", among: names) == ["decoder.weight"])
        #expect(CloseNames.suggestions(for: "xyz", among: names).isEmpty)
    }
}
