import ONNXFormat
import Operators
import Testing

@testable import Training

/// Ties in graphs written down here, where no exporter says whose a tensor was.
@Suite struct WrittenTieTests {
    private typealias Nodes = [(String, String, [String], [String])]

    private let random = ParameterModels.tensor("w", [4, 4], ParameterModels.irregular([4, 4]))
    private let ones = ParameterModels.tensor("s", [4], [1, 1, 1, 1])

    /// The tensors that the nodes' second inputs read after repairing.
    private func read(
        _ tensors: [ImportedGraph.Initializer], _ nodes: Nodes, producer: String = ""
    ) throws -> [String] {
        let graph = try TieRepair.repaired(ParameterModels.graph(tensors, nodes, producer: producer)).graph
        return nodes.filter { $0.0 != "Identity" }.map { graph.tensorRead(by: $0.1, 1) }
    }

    private func products(_ names: [String]) -> Nodes {
        names.enumerated().map { number, name in
            (
                "MatMul", name, [number == 0 ? "x" : "\(number - 1)", "w"],
                [number == names.count - 1 ? "y" : "\(number)"]
            )
        }
    }

    private func scales(_ names: [String]) -> Nodes {
        names.enumerated().map { number, name in
            (
                "LayerNormalization", name, [number == 0 ? "x" : "\(number - 1)", "s"],
                [number == names.count - 1 ? "y" : "\(number)"]
            )
        }
    }

    @Test func differentModulesDoNotShare() throws {
        #expect(try read([random], products(["/a/MatMul", "/b/MatMul"])) == ["w", "w.b"])
        #expect(try read([ones], scales(["/a/Norm", "/b/Norm", "/a/c/Norm"])) == ["s", "s.b", "s.a.c"])
        let named = ParameterModels.tensor("a.weight", [4], [1, 1, 1, 1])
        let nodes = scales(["/a/Norm", "/b/Norm"]).map { ($0.0, $0.1, [$0.2[0], "a.weight"], $0.3) }
        #expect(try read([named], nodes) == ["a.weight", "b.weight"])
    }

    @Test func repeatedCallsShare() throws {
        #expect(try read([random], products(["/a/MatMul", "/a_1/MatMul", "/a_2/MatMul"])) == ["w", "w", "w"])
        #expect(try read([ones], scales(["/l/l.0/Norm", "/l/l.0_1/Norm"])) == ["s", "s"])
        // There is no module `layer` that could have been called again.
        #expect(try read([ones], scales(["/layer_1/Norm", "/layer_2/Norm"])) == ["s", "s.layer_2"])
        // There is a module `a_1`, as it has a bias.
        let bias = ParameterModels.tensor("a_1.bias", [4], [1, 2, 3, 4])
        let nodes: Nodes = [
            products(["/a/MatMul", "/a_1/MatMul"])[0], ("MatMul", "/a_1/MatMul", ["0", "w"], ["m"]),
            ("Add", "/a_1/Add", ["m", "a_1.bias"], ["y"]),
        ]
        #expect(try read([random, bias], nodes) == ["w", "w.a_1", "a_1.bias"])
    }

    @Test func nodesOfOneCallDoNotShareWhatIsFilled() throws {
        #expect(try read([ones], scales(["/a/Norm", "/a/Norm_1"])) == ["s", "s.a"])
        #expect(try read([random], products(["/a/MatMul", "/a/MatMul_1"])) == ["w", "w"])
    }

    @Test func withoutModulesOnlyFilledTensorsAreUntied() throws {
        #expect(try read([random], products(["MatMul_0", "MatMul_1"])) == ["w", "w"])
        #expect(try read([ones], scales(["n0", "n1"])) == ["s", "s.n1"])
        #expect(try read([random], products(["/a/MatMul", "MatMul_1"])) == ["w", "w"])
    }

    @Test func embeddingsStayTiedToHeads() throws {
        let nodes: Nodes = [
            ("Gather", "/emb/Gather", ["w", "x"], ["e"]), ("Transpose", "/head/Transpose", ["w"], ["t"]),
            ("MatMul", "/head/MatMul", ["e", "t"], ["y"]),
        ]
        let repaired = try TieRepair.repaired(ParameterModels.graph([random], nodes))
        #expect(repaired.graph.initializers.count == 1 && repaired.notes.isEmpty)
        let filled = ParameterModels.tensor("w", [4, 4], Array(repeating: 0, count: 16))
        #expect(try TieRepair.repaired(ParameterModels.graph([filled], nodes)).graph.initializers.count == 2)
    }

    @Test func torchScriptMarksWhatItMerged() throws {
        let a = ParameterModels.tensor("a.weight", [4, 4], ParameterModels.irregular([4, 4]))
        let direct: Nodes = [
            ("MatMul", "/a/MatMul", ["x", "a.weight"], ["m"]), ("MatMul", "/b/MatMul", ["m", "a.weight"], ["y"]),
        ]
        #expect(try read([a], direct, producer: "pytorch") == ["a.weight", "a.weight"])
        let marked: Nodes = [
            ("Identity", "Identity_0", ["a.weight"], ["b.weight"]), direct[0],
            ("MatMul", "/b/MatMul", ["m", "b.weight"], ["y"]),
        ]
        #expect(try read([a], marked, producer: "pytorch") == ["a.weight", "b.weight.untied"])
        // In other files an Identity is an Identity.
        let unnamed = marked.map { ($0.0, $0.1.replacing("/", with: ""), $0.2, $0.3) }
        #expect(try read([a], unnamed) == ["a.weight", "a.weight"])
        // A folded weight read directly by two nodes: the Identities have been removed, so modules decide.
        let folded = ParameterModels.tensor("onnx::MatMul_3", [4, 4], ParameterModels.irregular([4, 4], seed: 2))
        let stripped: Nodes = [
            ("MatMul", "/a/MatMul", ["x", "a.weight"], ["1"]), ("MatMul", "/b/MatMul", ["1", "a.weight"], ["2"]),
            ("MatMul", "/c/MatMul", ["2", "onnx::MatMul_3"], ["3"]),
            ("MatMul", "/d/MatMul", ["3", "onnx::MatMul_3"], ["y"]),
        ]
        #expect(
            try read([a, folded], stripped, producer: "pytorch") == [
                "a.weight", "b.weight", "onnx::MatMul_3", "onnx::MatMul_3.d",
            ])
    }

    @Test func whatNobodyTrainsIsLeftAlone() throws {
        let half = ParameterModels.tensor("half", [], [0.5])
        let nodes: Nodes = [("Mul", "/a/Mul", ["x", "half"], ["m"]), ("Mul", "/b/Mul", ["m", "half"], ["y"])]
        let repaired = try TieRepair.repaired(ParameterModels.graph([half], nodes))
        #expect(repaired.notes.isEmpty && repaired.graph.initializers.count == 1)
    }

    @Test func rewiringsNameTheFilesNodes() throws {
        let nodes: Nodes = [
            ("Identity", "i", ["w"], ["i"]), ("MatMul", "/a/MatMul", ["x", "w"], ["1"]),
            ("MatMul", "/b/MatMul", ["1", "i"], ["2"]), ("MatMul", "/b_1/MatMul", ["2", "i"], ["3"]),
            ("MatMul", "/c/MatMul", ["3", "i"], ["y"]),
        ]
        let repaired = try TieRepair.repaired(ParameterModels.graph([random], nodes))
        let edits = try repaired.edits(values: ["w": Array(repeating: 0, count: 16)])
        // The Identity serves two modules, so that their own inputs are rewired.
        #expect(
            edits.rewirings == [
                .init(node: 2, input: 1, name: "w.b"), .init(node: 3, input: 1, name: "w.b"),
                .init(node: 4, input: 1, name: "w.c"),
            ])
    }

    /// Two calls of a local function and a subgraph read the same tensors.
    @Test func callsOfFunctionsAreRewired() throws {
        let model = try ParameterModels.model("functions")
        let graph = try ModelImporter.importGraph(of: model)
        let inlined = graph.nodes.filter { $0.operatorType == "LayerNormalization" }
        #expect(inlined.map { $0.fileNode?.position } == [0, 1])
        #expect(inlined[0].fileNode?.inputs == [0, nil, 2])
        let repaired = try TieRepair.repaired(graph)
        let edits = try repaired.edits(values: ["ones": [5, 5, 5, 5], "zeros": [6, 6, 6, 6]])
        #expect(
            edits.rewirings == [
                .init(node: 1, input: 1, name: "ones.second"), .init(node: 1, input: 2, name: "zeros.second"),
            ])
        let saved = try ONNXModel(serialized: model.serialized(applying: edits))
        #expect(saved.graph.nodes[0].inputs == ["x", "ones", "zeros", "w"])
        #expect(saved.graph.nodes[1].inputs == ["a", "ones.second", "zeros.second", "w"])
        // What a subgraph reads keeps its name.
        #expect(repaired.graph.tensor("gain") != nil && !repaired.notes.contains { $0.contains("gain") })
    }
}
