import ONNXFormat
import Operators
import TensorGraph
import Testing

@testable import Training

@Suite struct HeadCopyTests {
    @Test(
        arguments: [
            ("language_torchscript", "embedding.weight", "onnx::MatMul_8"), ("language_dynamo", "head.weight", "val_2"),
        ])
    func foldedHeadsTrainWithTheirEmbedding(_ file: String, _ table: String, _ copy: String) throws {
        let model = try ParameterModels.model(file)
        let repaired = try TieRepair.repaired(ModelImporter.importGraph(of: model))
        #expect(repaired.notes == ["tied '\(copy)' to '\(table)', of which it is a copy"])
        #expect(repaired.graph.tensor(copy) == nil)
        let names = try ParameterSelection().names(
            in: repaired, findings: ParameterDiscovery.findings(in: repaired.graph))
        #expect(Set(names) == ["norm.weight", "norm.bias", table])
        #expect(try ParameterSelection(trainable: [copy]).names(in: repaired, findings: []) == [table])
        // The graph that trains has one parameter for both, and reads it twice.
        let sizes = try InputSizes(repaired.graph, sampleShapes: [repaired.graph.inputs[0].name: [3]])
        let trainable = try TrainableModel(repaired.graph, registry: .standard, trainable: names, sizes: sizes)
        let graph = try trainable.specialized(batchSize: 2).builder.graph
        #expect(graph.parameters.map(\.name).sorted() == names.sorted())
        // Both are written.
        let trained = (0..<28).map { Float($0) }
        let saved = try ONNXModel(serialized: model.serialized(applying: repaired.edits(values: [table: trained])))
        let again = try ModelImporter.importGraph(of: saved)
        #expect(try again.tensor(table)!.load().floatValues == trained)
        let transposed = (0..<4).flatMap { column in (0..<7).map { row in Float(row * 4 + column) } }
        #expect(try again.tensor(copy)!.load().floatValues == transposed)
        #expect(try TieRepair.repaired(again).notes == repaired.notes)
    }

    private let table = ParameterModels.tensor("table", [3, 2], [1, 2, 3, 4, 5, 6])

    private func repaired(
        _ head: ImportedGraph.Initializer, table: ImportedGraph.Initializer? = nil, _ type: String = "MatMul",
        attributes: [String: AttributeValue] = [:], extra: [(String, String, [String], [String])] = []
    ) throws -> RepairedGraph {
        let nodes = [("Gather", "", ["table", "x"], ["e"]), (type, "head", ["e", "head"], ["y"])] + extra
        return try TieRepair.repaired(
            ParameterModels.graph([table ?? self.table, head], nodes, attributes: ["head": attributes]))
    }

    @Test func onlyEqualTensorsAreTied() throws {
        #expect(try repaired(ParameterModels.tensor("head", [2, 3], [1, 3, 5, 2, 4, 6])).notes.count == 1)
        #expect(try repaired(ParameterModels.tensor("head", [2, 3], [1, 3, 5, 2, 4, 7])).notes.isEmpty)
        #expect(try repaired(ParameterModels.tensor("head", [2, 3], [1, 2, 3, 4, 5, 6])).notes.isEmpty)
        let halves = ParameterModels.tensor("head", [2, 3], [1, 3, 5, 2, 4, 6], type: .float16)
        #expect(try repaired(halves).notes.isEmpty)
    }

    /// A head that is merged with the weight of another module is taken out, and then found to be the table's copy.
    @Test func headsThatAreUntiedFirst() throws {
        let nodes = [
            ("Gather", "/table/Gather", ["table", "x"], ["e"]), ("Add", "/middle/Add", ["e", "onnx::MatMul_2"], ["m"]),
            ("MatMul", "/head/MatMul", ["m", "onnx::MatMul_2"], ["y"]),
        ]
        let merged = ParameterModels.tensor("onnx::MatMul_2", [2, 3], [1, 3, 5, 2, 4, 6])
        let repaired = try TieRepair.repaired(ParameterModels.graph([table, merged], nodes))
        try #require(repaired.notes.count == 2, "\(repaired.notes)")
        let edits = try repaired.edits(values: ["table": [6, 5, 4, 3, 2, 1]])
        let head = try #require(edits.additions.first)
        #expect(try head.values.load() == [6, 4, 2, 5, 3, 1])
        // The other module alone changes: the head keeps what it was.
        let other = try repaired.edits(values: ["onnx::MatMul_2": [0, 0, 0, 0, 0, 0]])
        #expect(try other.additions.first?.values.load() == [1, 3, 5, 2, 4, 6])
    }

    @Test func headsThatReadRowsAreTiedAsTheyAre() throws {
        let head = ParameterModels.tensor("head", [3, 2], [1, 2, 3, 4, 5, 6])
        let repaired = try repaired(head, "Gemm", attributes: ["transB": .int(1)])
        #expect(repaired.graph.nodes[0].operatorType == "Identity")
        let edits = try repaired.edits(values: ["table": [6, 5, 4, 3, 2, 1]])
        #expect(try edits.values["head"]?.load() == [6, 5, 4, 3, 2, 1])
        #expect(try self.repaired(head, "Gemm").notes.isEmpty)
    }

    /// w read by one product and its folded transpose by another, in the modules that the nodes' names say.
    private func transposed(_ name: String, _ values: [Float], readers: (String, String)) throws -> [String] {
        let copy = [values[0], values[2], values[1], values[3]]
        let graph = ParameterModels.graph(
            [ParameterModels.tensor(name, [2, 2], values), ParameterModels.tensor("onnx::MatMul_9", [2, 2], copy)],
            [
                ("MatMul", readers.0, ["x", name], ["h"]),
                ("MatMul", readers.1, ["h", "onnx::MatMul_9"], ["y"]),
            ], producer: "pytorch")
        return try TieRepair.repaired(graph).notes
    }

    @Test func foldedTransposesAreTiedInTheirModule() throws {
        #expect(try transposed("w", [1, 2, 3, 4], readers: ("/MatMul", "/MatMul_1")).count == 1)
        #expect(try transposed("a.w", [1, 2, 3, 4], readers: ("/a/MatMul", "/MatMul_1")).count == 1)
        #expect(try transposed("a.w", [1, 2, 3, 4], readers: ("/a/MatMul", "/b/MatMul_1")).isEmpty)
        #expect(try transposed("w", [1, 2, 2, 1], readers: ("/MatMul", "/MatMul_1")).isEmpty)
    }

    /// kernel / (u · matrix v) by `kernel`, whose elements the other tensor has as a matrix, and by another equal kernel.
    private func normalized(_ matrix: [Float], another: Bool = false) throws -> RepairedGraph {
        let kernel: [Float] = [1, 2, 3, 4, 5, 6]
        let names = ["a.kernel"] + (another ? ["a.another"] : [])
        return try TieRepair.repaired(
            ParameterModels.graph(
                names.map { ParameterModels.tensor($0, [2, 1, 3], kernel) } + [
                    ParameterModels.tensor("onnx::MatMul_9", [2, 3], matrix),
                    ParameterModels.tensor("a.kernel_v", [3], [0.6, 0, 0.8]),
                    ParameterModels.tensor("a.kernel_u", [2], [0.6, 0.8]),
                ],
                [
                    ("MatMul", "/MatMul", ["onnx::MatMul_9", "a.kernel_v"], ["mv"]),
                    ("MatMul", "/MatMul_1", ["a.kernel_u", "mv"], ["s"]), ("Div", "/Div", ["a.kernel", "s"], ["w"]),
                    ("Conv", "/a/Conv", ["x", "w"], ["h"]), ("Conv", "/a/Conv_1", ["h", names.last!], ["y"]),
                ], producer: "pytorch"))
    }

    @Test func reshapedWeightsAreTied() throws {
        let repaired = try normalized([1, 2, 3, 4, 5, 6])
        #expect(repaired.notes == ["tied 'onnx::MatMul_9' to 'a.kernel', of which it is a copy"])
        #expect(repaired.graph.nodes[..<2].map(\.operatorType) == ["Constant", "Reshape"])
        let edits = try repaired.edits(values: ["a.kernel": [6, 5, 4, 3, 2, 1]])
        #expect(try edits.values["onnx::MatMul_9"]?.load() == [6, 5, 4, 3, 2, 1])
        #expect(try normalized([1, 2, 3, 4, 5, 7]).notes.isEmpty)
        #expect(try normalized([1, 4, 2, 5, 3, 6]).notes.isEmpty)
        #expect(try normalized([1, 2, 3, 4, 5, 6], another: true).notes.isEmpty)
    }

    @Test func filledTensorsAreNotTied() throws {
        let zeros = [Float](repeating: 0, count: 6)
        let repaired = try repaired(
            ParameterModels.tensor("head", [2, 3], zeros), table: ParameterModels.tensor("table", [3, 2], zeros))
        #expect(repaired.notes.isEmpty)
    }

    @Test func whatElseReadsAHeadKeepsItFree() throws {
        let head = ParameterModels.tensor("head", [2, 3], [1, 3, 5, 2, 4, 6])
        #expect(try repaired(head, extra: [("Add", "", ["x", "head"], ["z"])]).notes.count == 1)
        let used = [("Add", "", ["x", "head"], ["z"]), ("Mul", "", ["y", "z"], ["out"])]
        var graph = ParameterModels.graph(
            [table, head], [("Gather", "", ["table", "x"], ["e"]), ("MatMul", "", ["e", "head"], ["y"])] + used)
        graph.outputs[0].name = "out"
        #expect(try TieRepair.repaired(graph).notes.isEmpty)
    }

    @Test func theExportersRecordDecides() throws {
        var head = ParameterModels.tensor("head", [2, 3], [1, 3, 5, 2, 4, 6])
        head.foldedFrom = ["head.weight"]
        var graph = ParameterModels.graph(
            [table, head], [("Gather", "", ["table", "x"], ["e"]), ("MatMul", "", ["e", "head"], ["y"])])
        func source(_ target: String) -> Exporter.Source { .init(kind: "PARAMETER", target: target) }
        graph.exporter = Exporter(sources: ["p_table": source("table"), "p_head": source("head.weight")])
        #expect(try TieRepair.repaired(graph).notes.isEmpty)
        graph.initializers[1].foldedFrom = ["table"]
        #expect(try TieRepair.repaired(graph).notes.count == 1)
    }

    /// A decoder that shares its encoder's weight, which dynamo stores transposed for one of them.
    @Test(arguments: [[Float](arrayLiteral: 1, 3, 5, 2, 4, 6), [1, 3, 5, 2, 4, 7]])
    func statedCopiesOfOtherWeightsAreTied(_ values: [Float]) throws {
        var copy = ParameterModels.tensor("permute", [2, 3], values)
        var graph = ParameterModels.graph(
            [table, copy],
            [("Gemm", "encode", ["x", "table"], ["e"]), ("Gemm", "decode", ["e", "permute"], ["y"])],
            attributes: ["encode": ["transB": .int(1)], "decode": ["transB": .int(1)]])
        #expect(try TieRepair.repaired(graph).notes.isEmpty)
        copy.foldedFrom = ["table"]
        graph.initializers[1] = copy
        graph.exporter = Exporter(sources: ["p_table": .init(kind: "PARAMETER", target: "table")])
        let repaired = try TieRepair.repaired(graph)
        #expect(repaired.notes.count == (values[5] == 6 ? 1 : 0))
        if values[5] == 6 { #expect(repaired.graph.nodes[0].operatorType == "Transpose") }
    }
}
