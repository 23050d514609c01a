import ONNXFormat
import Operators
import TensorGraph
import Testing

@testable import Training

/// Real exports: which tensor of the program each node has to read is known from make_parameter_fixtures.py.
@Suite struct TieRepairTests {
    @Test func freshLayersAreUntiedInDynamoExports() throws {
        let repaired = try TieRepair.repaired(ParameterModels.graph("layers_dynamo"))
        let graph = repaired.graph
        #expect(graph.tensorRead(by: "node_layer_norm", 1) == "layers.0.norm.weight")
        #expect(graph.tensorRead(by: "node_layer_norm_1", 1) == "layers.1.norm.weight")
        #expect(graph.tensorRead(by: "node_layer_norm_1", 2) == "layers.1.norm.bias")
        #expect(graph.tensorRead(by: "node_layer_norm_2", 1) == "norm.weight")
        #expect(graph.tensorRead(by: "node_linear_1", 1) == "layers.1.fc.bias")
        #expect(graph.tensorRead(by: "node_MatMul_1", 1) == "val_2")
        #expect(graph.tensorRead(by: "node_MatMul_3", 1) == "val_2.layers.1.fc.weight")
        #expect(graph.tensor("val_2.layers.1.fc.weight")?.foldedFrom == ["layers.1.fc.weight"])
        #expect(graph.initializers.count == 12)
        #expect(
            repaired.notes == [
                "untied from 'layers.0.norm.weight', which the exporter merged with equal tensors: 'layers.1.norm.weight', 'norm.weight'",
                "untied from 'layers.0.norm.bias', which the exporter merged with equal tensors: 'layers.1.norm.bias', 'norm.bias'",
                "untied from 'layers.0.fc.bias', which the exporter merged with equal tensors: 'layers.1.fc.bias'",
                "untied from 'val_2', which the exporter merged with equal tensors: 'val_2.layers.1.fc.weight'",
            ])
    }

    @Test func freshLayersAreUntiedInTorchScriptExports() throws {
        let repaired = try TieRepair.repaired(ParameterModels.graph("layers_torchscript"))
        let graph = repaired.graph
        #expect(graph.tensorRead(by: "/layers.0/norm/LayerNormalization", 1) == "layers.0.norm.weight")
        #expect(graph.tensorRead(by: "/layers.1/norm/LayerNormalization", 1) == "layers.1.norm.weight.untied")
        #expect(graph.tensorRead(by: "/layers.1/norm/LayerNormalization", 2) == "layers.1.norm.bias.untied")
        #expect(graph.tensorRead(by: "/norm/LayerNormalization", 1) == "norm.weight.untied")
        #expect(graph.tensorRead(by: "/layers.1/fc/Add", 0) == "layers.1.fc.bias.untied")
        #expect(graph.tensorRead(by: "/layers.0/fc/MatMul", 1) == "onnx::MatMul_27")
        #expect(graph.tensorRead(by: "/layers.1/fc/MatMul", 1) == "onnx::MatMul_28.layers.1.fc")
        #expect(repaired.otherNames["layers.1.norm.weight"] == "layers.1.norm.weight.untied")
        #expect(graph.initializers.filter(\.dataType.isTrainable).count == 12)
    }

    /// ONNX Runtime's optimiser keeps the exporter's name, but not the Identities by which that says what is shared.
    @Test(arguments: [false, true])
    func optimizedFilesHaveNoIdentities(_ isOptimized: Bool) throws {
        let graph = ParameterModels.graph(
            [ParameterModels.tensor("a.norm.weight", [4], [1, 1, 1, 1])],
            [
                ("LayerNormalization", "/a/norm/Normalization", ["x", "a.norm.weight"], ["h"]),
                ("LayerNormalization", "/b/norm/Normalization", ["h", "a.norm.weight"], ["y"]),
            ], producer: "pytorch", isOptimized: isOptimized)
        let repaired = try TieRepair.repaired(graph).graph
        #expect(repaired.initializers.count == (isOptimized ? 2 : 1))
        let second = repaired.tensorRead(by: "/b/norm/Normalization", 1)
        #expect(second == (isOptimized ? "b.norm.weight" : "a.norm.weight"))
    }

    @Test(arguments: ["shared_torchscript", "shared_dynamo"])
    func trueTiesStay(_ name: String) throws {
        let graph = try ParameterModels.graph(name)
        let repaired = try TieRepair.repaired(graph)
        #expect(repaired.notes.isEmpty)
        #expect(repaired.graph.initializers.map(\.name) == graph.initializers.map(\.name))
        #expect(repaired.graph.nodes.map(\.inputs) == graph.nodes.map(\.inputs))
    }

    @Test func statisticsAreTakenApartFromParameters() throws {
        let dynamo = try TieRepair.repaired(ParameterModels.graph("image_dynamo")).graph
        let first = dynamo.nodes.first { $0.operatorType == "BatchNormalization" }!
        #expect(
            first.inputs == ["x", "first.weight", "first.bias", "first.running_mean", "first.running_var"])
        // GroupNormalization borrows an InstanceNormalization, whose scale is no parameter of the program.
        #expect(dynamo.tensorRead(by: "node_InstanceNormalization_20", 1) == "first.running_var")
        let torchScript = try TieRepair.repaired(ParameterModels.graph("image_torchscript")).graph
        #expect(torchScript.tensorRead(by: "/first/BatchNormalization", 1) == "first.weight")
        #expect(torchScript.tensorRead(by: "/first/BatchNormalization", 4) == "first.running_var.untied")
    }

    @Test func layersOfOneRecurrentCallAreUntied() throws {
        let dynamo = try TieRepair.repaired(ParameterModels.graph("recurrent_dynamo")).graph
        let biases = dynamo.nodes.filter { $0.operatorType == "LSTM" }.map { $0.inputs[3] }
        #expect(biases == ["val_66", "val_66.lstm.bias_hh_l1+lstm.bias_ih_l1"])
        let torchScript = try TieRepair.repaired(ParameterModels.graph("recurrent_torchscript")).graph
        #expect(torchScript.tensorRead(by: "/lstm/LSTM", 3) != torchScript.tensorRead(by: "/lstm/LSTM_1", 3))
    }

    /// Each gate is cut out of PyTorch's tensor once, so all of them are one tensor's.
    @Test func partsOfOneTensorStayTogether() throws {
        let repaired = try TieRepair.repaired(ParameterModels.graph("recurrent_unoptimized"))
        #expect(repaired.notes.isEmpty)
        let findings = try ParameterDiscovery.findings(in: repaired.graph)
        let layers = ["l0", "l1"].flatMap { layer in
            ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map { "lstm.\($0)_\(layer)" }
        }
        #expect(findings.parameters == Set(layers + ["head.weight", "head.bias"]))
    }

    /// A parametrised weight has a name of its own at each call of its layer; a copy of the layer has another weight.
    @Test func resultsOfOneModuleAreOneTensor() throws {
        let repaired = try TieRepair.repaired(ParameterModels.graph("parametrized_dynamo")).graph
        let products = repaired.nodes.filter { $0.operatorType == "Gemm" }
        let (own, other) = ("add", "add.add_2")
        #expect(products.map { $0.inputs[1] } == [own, own, other, own, other, "head.weight"])
        #expect(repaired.tensor(own)?.foldedFrom.first == "layer.parametrizations.weight.original")
        #expect(repaired.tensor(other)?.foldedFrom.first == "copy.parametrizations.weight.original")
        let (bias, otherBias) = ("layer.bias", "copy.bias")
        #expect(products.map { $0.inputs[2] } == [bias, bias, otherBias, bias, otherBias, "head.bias"])
    }

    /// TorchScript says nothing of what a program holds: two numbered tensors of one module are two, equal or not.
    @Test func numberedParametersOfOneModuleAreTwo() throws {
        let graph = ParameterModels.graph(
            [ParameterModels.tensor("m.scale_1", [4], ParameterModels.irregular([4]))],
            [
                ("Identity", "Identity_0", ["m.scale_1"], ["m.scale_2"]),
                ("Mul", "/m/Mul", ["x", "m.scale_1"], ["h"]), ("Mul", "/m/Mul_1", ["h", "m.scale_2"], ["y"]),
            ], producer: "pytorch")
        let repaired = try TieRepair.repaired(graph).graph
        #expect(repaired.initializers.count == 2)
        #expect(repaired.tensorRead(by: "/m/Mul", 1) != repaired.tensorRead(by: "/m/Mul_1", 1))
    }

    /// The exporter's optimiser splits what attention to something else reads, in nodes that bear no module.
    @Test func nodesOfTheOptimizerBelongToTheirReaders() throws {
        let repaired = try TieRepair.repaired(ParameterModels.graph("crossed_dynamo")).graph
        let split = repaired.nodes.filter { $0.operatorType == "Split" }.map { $0.inputs[0] }
        #expect(split == ["layer.multihead_attn.in_proj_weight", "layer.multihead_attn.in_proj_bias"])
    }

    /// Biases that were left out because they were zero are those that the program's calls name, though other layers keep
    /// equal ones; a scale of zeros is no bias.
    @Test func biasesThatWereLeftOutComeBack() throws {
        let repaired = try TieRepair.repaired(ParameterModels.graph("fresh_dynamo"))
        let graph = repaired.graph
        let layers = graph.nodes.filter { ["Conv", "ConvTranspose", "Gemm"].contains($0.operatorType) }
        #expect(layers.map { $0.inputs[2] } == ["conv.bias", "grow.bias", "shared.bias", "head.bias"])
        #expect(graph.tensor("grow.bias")?.shape == [6])
        #expect(try graph.tensor("head.bias")?.load().floatValues == [0, 0, 0])
        let sums = graph.nodes.filter { $0.operatorType == "Add" && $0.name.hasPrefix("node_linear") }
        #expect(sums.map { node in node.inputs.first { graph.tensor($0) != nil } } == ["other.bias", "shared.bias"])
        let scales = graph.nodes.filter { $0.name.hasPrefix("node_group_norm") || $0.name.hasPrefix("node_Mul") }
        let folded = scales.flatMap(\.inputs).compactMap { graph.tensor($0)?.foldedFrom.first }
        #expect(folded == ["norm.weight", "norm.bias"])
        #expect(
            repaired.notes.first
                == "gave back what the exporter left out because it was zero: 'conv.bias', 'grow.bias', 'shared.bias', 'head.bias'"
        )
        let findings = try ParameterDiscovery.findings(in: graph)
        let written = graph.nodes.filter { $0.operatorType.hasSuffix("Normalization") }.map { $0.inputs.dropFirst() }
        #expect(written[1].last == "near.bias" && written[2] == ["last.weight", "last.bias"])
        #expect(written[0].allSatisfy { findings[$0]?.isParameter == false })
        #expect(findings["head.bias"]?.isParameter == true)
    }

    /// A file in which such a bias has been trained where it is kept computes without it where it was left out.
    @Test func biasesThatAreNotZeroStayOut() throws {
        let model = try ParameterModels.model("fresh_dynamo")
        let saved = try model.serialized(applying: ONNXEdits(values: ["near.bias": [1, 2, 3, 4, 5, 6]]))
        let repaired = try TieRepair.repaired(ModelImporter.importGraph(of: ONNXModel(serialized: saved)))
        #expect(repaired.notes.contains { $0.hasPrefix("not trained where") && $0.contains("'shared.bias'") })
        let products = repaired.graph.nodes.filter { $0.operatorType == "Gemm" }
        #expect(products.map { $0.inputs.dropFirst(2) } == [[], ["head.bias"]])
    }

    /// The file gets the biases that were trained, and needs no repair for them when it is read again.
    @Test func biasesThatCameBackAreWritten() throws {
        let model = try ParameterModels.model("fresh_dynamo")
        let repaired = try TieRepair.repaired(ModelImporter.importGraph(of: model), retie: false)
        let values: [String: [Float]] = ["conv.bias": [1, 2, 3, 4], "shared.bias": [1, 2, 3, 4, 5, 6]]
        let edits = try repaired.edits(values: values)
        let saved = try ONNXModel(serialized: model.serialized(applying: edits))
        for graph in [
            try ModelImporter.importGraph(of: saved), try ModelImporter.importGraph(of: model).applying(edits),
        ] {
            let layers = graph.nodes.filter { ["Conv", "ConvTranspose", "Gemm"].contains($0.operatorType) }
            #expect(layers.map { $0.inputs.dropFirst(2) } == [["conv.bias"], [], ["shared.bias"], []])
            for (name, written) in values { #expect(try graph.tensor(name)?.load().floatValues == written) }
            let again = try TieRepair.repaired(graph, untie: false, retie: false)
            #expect(again.notes.first?.hasSuffix("'grow.bias', 'head.bias'") == true)
        }
    }

    @Test func nothingHappensUnasked() throws {
        for name in ["layers_dynamo", "language_torchscript", "fresh_dynamo"] {
            let graph = try ParameterModels.graph(name)
            let repaired = try TieRepair.repaired(graph, completes: false, untie: false, retie: false)
            #expect(repaired.notes.isEmpty && repaired.otherNames.isEmpty)
            #expect(repaired.graph.initializers.map(\.name) == graph.initializers.map(\.name))
        }
    }

    /// Writes a different number into every parameter, and sees every node read its own after loading again.
    @Test(arguments: ["layers_torchscript", "layers_dynamo", "image_torchscript", "image_dynamo", "recurrent_dynamo"])
    func writtenFilesHoldWhatWasTrained(_ name: String) throws {
        let model = try ParameterModels.model(name)
        let repaired = try TieRepair.repaired(ModelImporter.importGraph(of: model))
        let names = try ParameterSelection().names(
            in: repaired, findings: ParameterDiscovery.findings(in: repaired.graph))
        var values: [String: [Float]] = [:]
        for (number, name) in names.enumerated() {
            let count = repaired.graph.tensor(name)!.shape.reduce(1, *)
            values[name] = Array(repeating: Float(number + 7), count: count)
        }
        let saved = try ONNXModel(serialized: model.serialized(applying: repaired.edits(values: values)))
        let again = try ModelImporter.importGraph(of: saved)
        #expect(again.nodes.map(\.name) == repaired.graph.nodes.map(\.name))
        let original = try ModelImporter.importGraph(of: model)
        for (position, node) in repaired.graph.nodes.enumerated() {
            for (input, value) in node.inputs.enumerated() where repaired.graph.tensor(value)?.dataType == .float32 {
                let read = try again.tensor(again.nodes[position].inputs[input])!.load().floatValues
                let kept = try original.tensor(original.nodes[position].inputs[input])!.load().floatValues
                #expect(read == values[value] ?? kept, "\(node.name) \(input)")
            }
        }
        // What is written needs no repair.
        #expect(try TieRepair.repaired(again).notes.isEmpty)
    }

    @Test func frozenTensorsKeepTheirValuesApart() throws {
        let model = try ParameterModels.model("layers_dynamo")
        let repaired = try TieRepair.repaired(ModelImporter.importGraph(of: model))
        let one = try repaired.edits(values: ["layers.1.norm.weight": [1, 2, 3, 4]])
        #expect(one.additions.map(\.name) == ["layers.1.norm.weight"])
        #expect(one.values.isEmpty)
        let original = try repaired.edits(values: ["layers.0.norm.weight": [1, 2, 3, 4]])
        #expect(original.additions.map(\.name) == ["layers.1.norm.weight", "norm.weight"])
        #expect(original.additions.allSatisfy { $0.like == "layers.0.norm.weight" })
        for addition in original.additions { #expect(try addition.values.load() == [1, 1, 1, 1]) }
        let other = try repaired.edits(values: ["head.bias": [1]])
        #expect(other.additions.isEmpty && other.rewirings.isEmpty && other.values.count == 1)
        #expect(try other.values["head.bias"]?.load() == [1])
    }
}
