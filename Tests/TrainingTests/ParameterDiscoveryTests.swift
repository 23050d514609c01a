import Foundation
import ONNXFormat
import Operators
import Testing

@testable import Training

/// Expectations are what `named_parameters()` of the modules in make_parameter_fixtures.py lists; tensors that an
/// exporter folded are named by what it called them.
@Suite struct ParameterDiscoveryTests {
    private func findings(_ name: String) throws -> [ParameterFinding] {
        try ParameterDiscovery.findings(in: TieRepair.repaired(ParameterModels.graph(name)).graph)
    }

    @Test func dynamoStatesParameters() throws {
        let findings = try findings("sequence_dynamo")
        #expect(
            findings.parameters == [
                "position_bias", "layer_scale", "mask_token", "temperature", "embedding.weight", "query.bias",
                "head.bias", "val_14", "val_16",
            ])
        #expect(findings["val_14"]?.reason == "folded from parameter 'query.weight'")
        #expect(findings["causal"]?.reason == "exporter: BUFFER")
        #expect(findings["cat"]?.reason == "folded from 'inv_freq' (exporter: BUFFER)")
        #expect(findings["val_1"]?.reason == "holds int64, not floating-point numbers")
    }

    @Test func rulesFindParametersAmongTables() throws {
        let findings = try findings("sequence_torchscript")
        #expect(
            findings.parameters == [
                "position_bias", "layer_scale", "mask_token", "temperature", "embedding.weight", "query.bias",
                "head.bias", "onnx::MatMul_58", "onnx::MatMul_59",
            ])
        #expect(findings["table"]?.reason == "a table of sines and cosines")
        #expect(findings["cos_cached"]?.reason == "does not train by its name")
        #expect(findings["inv_freq"]?.reason == "does not train by its name")
        #expect(findings["causal"]?.reason == "a mask")
        #expect(findings["allowed"]?.reason == "a mask")
        #expect(findings["embedding.weight"]?.reason == "table of Gather")
        #expect(findings["head.bias"]?.reason == "bias of a product")
    }

    @Test(
        arguments: [
            ("image_torchscript", ["onnx::Mul_44", "onnx::Add_45", "onnx::PRelu_46"]),
            ("image_dynamo", ["val_29", "val_31", "val_33"]),
        ])
    func statisticsAndStandInsAreNoParameters(_ name: String, _ folded: [String]) throws {
        let findings = try findings(name)
        let named: Set = [
            "first.weight", "first.bias", "conv.weight", "conv.bias", "second.weight", "second.bias", "head.weight",
            "head.bias",
        ]
        #expect(findings.parameters == named.union(folded))
        #expect(findings[folded[0]]?.role == .normalizationScale)
        #expect(findings[folded[1]]?.role == .normalizationBias)
    }

    @Test func recurrentWeights() throws {
        let torchScript = try findings("recurrent_torchscript")
        #expect(torchScript.filter(\.isParameter).count == 8)
        #expect(torchScript["onnx::LSTM_193"]?.reason == "weight of LSTM")
        #expect(torchScript["onnx::LSTM_194"]?.role == .bias)
        #expect(try findings("recurrent_dynamo").filter(\.isParameter).count == 8)
    }

    @Test func constantNodesHoldWeights() throws {
        let graph = try ParameterModels.graph("constants")
        #expect(graph.nodes.map(\.operatorType) == ["Constant", "Cast", "MatMul", "Add", "Mul", "ReduceSum"])
        let findings = try ParameterDiscovery.findings(in: graph)
        #expect(findings.map(\.name) == ["dense/kernel", "dense/bias", "half"])
        #expect(findings.parameters == ["dense/kernel", "dense/bias"])
        #expect(findings["dense/kernel"]?.reason == "weight of MatMul")
        #expect(graph.tensor("dense/kernel")?.dataType == .float16)
    }

    private let w = ParameterModels.tensor("w", [2, 2], [1, 2, 3, 4])

    private func finding(
        _ tensor: ImportedGraph.Initializer, _ nodes: [(String, String, [String], [String])], producer: String = ""
    ) throws -> ParameterFinding {
        try ParameterDiscovery.findings(in: ParameterModels.graph([tensor], nodes, producer: producer))[0]
    }

    @Test func weightsAreFollowedThroughWhatMovesThem() throws {
        let made = ParameterModels.tensor("onnx::Transpose_3", [2, 2], [1, 2, 3, 4])
        let moved = [
            ("Transpose", "", ["onnx::Transpose_3"], ["t"]), ("Cast", "", ["t"], ["c"]),
            ("MatMul", "", ["x", "c"], ["y"]),
        ]
        #expect(try finding(made, moved).reason == "weight of MatMul")
        let computed = [("Exp", "", ["onnx::Transpose_3"], ["t"]), ("MatMul", "", ["x", "t"], ["y"])]
        #expect(
            try finding(made, computed)
                == .init(
                    name: made.name, isParameter: false, reason: "an unnamed constant of MatMul", role: .weight))
        let named = [("Exp", "", ["w"], ["t"]), ("MatMul", "", ["x", "t"], ["y"])]
        #expect(try finding(w, named).isParameter)
    }

    @Test func whatNoGradientReachesIsNoParameter() throws {
        func reason(_ nodes: [(String, String, [String], [String])]) throws -> String {
            let finding = try finding(w, nodes)
            #expect(!finding.isParameter)
            return finding.reason
        }
        #expect(try reason([("Relu", "", ["x"], ["y"]), ("Exp", "", ["w"], ["t"])]) == "no output depends on it")
        #expect(try reason([("Resize", "", ["x", "", "w"], ["y"])]) == "sets how Resize works")
        #expect(
            try reason([("Less", "", ["x", "w"], ["l"]), ("Where", "", ["l", "x", "x"], ["y"])]) == "only compared")
        let quantized = [("DequantizeLinear", "", ["q", "w"], ["d"]), ("MatMul", "", ["x", "d"], ["y"])]
        #expect(try reason(quantized) == "belongs to quantized numbers (DequantizeLinear)")
        let statistics = [("BatchNormalization", "", ["x", "s", "b", "m", "w"], ["y"])]
        #expect(try reason(statistics) == "running statistics")
    }

    @Test func tensorsWithoutElementsDoNotTrain() throws {
        let empty = ParameterModels.tensor("table.weight", [0, 4], [])
        let finding = try finding(empty, [("Gather", "", ["table.weight", "x"], ["y"])])
        #expect(!finding.isParameter && finding.reason == "has no elements")
    }

    @Test func madeUpNamesCountOnlyWhereWeightsStand() throws {
        func isParameter(_ name: String, _ shape: [Int], _ nodes: [(String, String, [String], [String])]) throws -> Bool
        {
            let tensor = ParameterModels.tensor(name, shape, ParameterModels.irregular(shape))
            return try finding(tensor, nodes).isParameter
        }
        #expect(try !isParameter("val_7", [4], [("Add", "", ["x", "val_7"], ["y"])]))
        #expect(try isParameter("shift", [4], [("Add", "", ["x", "shift"], ["y"])]))
        #expect(try isParameter("7", [4, 4], [("Gather", "", ["7", "x"], ["y"])]))
        #expect(try !isParameter("7", [4, 4, 4], [("Gather", "", ["7", "x"], ["y"])]))
        #expect(try isParameter("val_7", [4], [("LayerNormalization", "", ["x", "val_7"], ["y"])]))
        #expect(try isParameter("_val_3", [1, 1], [("Gemm", "", ["x", "_val_3"], ["y"])]))
        #expect(
            try isParameter("val_7", [4], [("MatMul", "", ["x", "k"], ["m"]), ("Add", "", ["val_7", "m"], ["y"])]))
        // Scores of attention are a product of data: what is added to them is no bias.
        #expect(
            try !isParameter("val_7", [4], [("MatMul", "", ["x", "x"], ["m"]), ("Add", "", ["m", "val_7"], ["y"])]))
    }

    /// What is added to the scores may be learned positions or a mask; angles of rotations are neither.
    @Test func attentionIsSeenThrough() throws {
        let attention = [("Attention", "", ["x", "x", "x", "added"], ["y"])]
        let shape = [2, 3, 3]
        let positions = ParameterModels.tensor("added", shape, ParameterModels.irregular(shape))
        #expect(try finding(positions, attention).isParameter)
        let stated = ParameterModels.tensor("added", shape, ParameterModels.irregular(shape), kind: "PARAMETER")
        #expect(try finding(stated, attention).isParameter)
        let row: [Float] = [0, -.infinity, -.infinity, 0, 0, -.infinity, 0, 0, 0]
        #expect(try finding(ParameterModels.tensor("added", shape, row + row), attention).reason == "a mask")
        let table = ParameterModels.tensor("table", [5, 2], ParameterModels.irregular([5, 2]))
        for inputs in [["x", "table", "k"], ["x", "k", "table"]] {
            let finding = try finding(table, [("RotaryEmbedding", "", inputs, ["y"])])
            #expect(finding.reason == "sets how RotaryEmbedding works")
        }
    }

    /// What ONNX Runtime's optimiser joins has weights whatever their names, and scales and angles that are none.
    @Test func joinedOperatorsAreSeenThrough() throws {
        func finding(_ shape: [Int], _ type: String, _ inputs: [String]) throws -> ParameterFinding {
            let tensor = ParameterModels.tensor("onnx::MatMul_7", shape, ParameterModels.irregular(shape))
            let graph = ParameterModels.graph([tensor], [(type, "", inputs, ["y"])], domain: "com.microsoft")
            return try ParameterDiscovery.findings(in: graph)[0]
        }
        let w = "onnx::MatMul_7"
        for (shape, type, inputs, role) in [
            ([4, 4], "FusedMatMul", ["x", w], ParameterFinding.Role.weight),
            ([4, 12], "Attention", ["x", w], .weight),
            ([12], "Attention", ["x", "k", w], .bias), ([4], "BiasGelu", ["x", w], .bias),
            ([4], "SkipLayerNormalization", ["x", "x", w, "k"], .normalizationScale),
            ([4], "SkipLayerNormalization", ["x", "x", "k", w], .normalizationBias),
            ([4], "SkipSimplifiedLayerNormalization", ["x", "x", w], .normalizationScale),
            ([5, 4], "EmbedLayerNormalization", ["x", "x", w, "k", "k", "k", "k"], .table),
        ] as [([Int], String, [String], ParameterFinding.Role)] {
            let found = try finding(shape, type, inputs)
            #expect(found.isParameter, "\(type): \(found.reason)")
            #expect(found.role == role, "\(type)")
        }
        let angles = ["x", "x", "x", "", "", "k", "k", w, "k"]
        #expect(try finding([8, 2], "GroupQueryAttention", angles).reason == "sets how GroupQueryAttention works")
        let scales = ["x", "k", w]
        #expect(
            try finding([4, 2], "MatMulNBits", scales).reason == "belongs to quantized numbers (MatMulNBits)")
    }

    /// Sines beside cosines, the padding token's row zeroed: no recurrence over the positions holds there.
    @Test func tablesOfPositionsMayHaveAPaddingRow() throws {
        var values: [Float] = []
        for position in 0..<6 {
            let angles: [Float] = [1, 0.1, 0.01].map { Float(position) * $0 }
            values += position == 1 ? .init(repeating: 0, count: 6) : angles.map(sin) + angles.map(cos)
        }
        let gathered = [("Gather", "", ["/p/Constant_output_0", "x"], ["y"])]
        func reason(_ values: [Float]) throws -> String {
            try finding(ParameterModels.tensor("/p/Constant_output_0", [6, 6], values), gathered).reason
        }
        #expect(try reason(values) == "a table of sines and cosines")
        values[3] = 0.5
        #expect(try reason(values) != "a table of sines and cosines")
    }

    /// Weights that are standardized before they are convolved, as TorchScript folds them: reshaped, and a second time for
    /// statistics, which a BatchNormalization in training mode does not use.
    @Test func foldedWeightsThatAreStandardized() throws {
        func parameters(mode: Int) throws -> Set<String> {
            let copies = [("onnx::BatchNormalization_7", [1, 2, 9]), ("onnx::ReduceMean_9", [1, 9, 2])].map {
                ParameterModels.tensor($0, $1, ParameterModels.irregular($1))
            }
            let graph = ParameterModels.graph(
                copies + [ParameterModels.tensor("/c/Constant_output_0", [2], [1, 1])],
                [
                    ("ReduceMean", "", ["onnx::ReduceMean_9"], ["m"]),
                    (
                        "BatchNormalization", "standardize",
                        ["onnx::BatchNormalization_7", "/c/Constant_output_0", "/c/Constant_output_0", "m", "m"], ["w"]
                    ),
                    ("Conv", "", ["x", "w"], ["y"]),
                ], producer: "pytorch", attributes: ["standardize": ["training_mode": .int(mode)]])
            return try ParameterDiscovery.findings(in: graph).parameters
        }
        #expect(try parameters(mode: 1) == ["onnx::BatchNormalization_7"])
        #expect(try parameters(mode: 0) == [])
    }

    /// Pegasus and MAE keep their positions as parameters that want no gradient, which exporters do not tell.
    @Test func statedTablesOfPositionsAreFrozen() throws {
        func isParameter(_ values: [Float], _ type: String) throws -> Bool {
            let tensor = ParameterModels.tensor("positions", [6, 6], values, kind: "PARAMETER")
            return try finding(tensor, [(type, "", ["x", "positions"], ["y"])]).isParameter
        }
        let waves = (0..<36).map { index in
            let angle = Float(index / 6) * [1, 0.1, 0.01][index % 3]
            return index % 6 < 3 ? sin(angle) : cos(angle)
        }
        #expect(try !isParameter(waves, "Add"))
        #expect(try isParameter(waves, "MatMul"))
        #expect(try isParameter(ParameterModels.irregular([6, 6]), "Add"))
        #expect(try isParameter((0..<36).map { Float($0 % 6) / 5 }, "Add"))
    }

    @Test func singleNumbersCountIfProgramsNameThemOrTheyAreWeights() throws {
        for shape in [[], [1], [1, 1, 1]] {
            let alpha = ParameterModels.tensor("block.alpha", shape, [0.5])
            let gated = [("Mul", "", ["x", "block.alpha"], ["y"])]
            #expect(try finding(alpha, gated, producer: "pytorch").isParameter)
            #expect(try finding(alpha, gated, producer: "tf2onnx").reason == "a single number")
            let one = ParameterModels.tensor("onnx::Mul_7", shape, [0.5])
            let scaled = [("Mul", "", ["x", "onnx::Mul_7"], ["y"])]
            #expect(try finding(one, scaled, producer: "pytorch").reason == "a single number")
            let shift = ParameterModels.tensor("/1/Constant_output_0", shape, [0.5])
            let shifted = [("MatMul", "", ["x", "k"], ["m"]), ("Add", "", ["m", "/1/Constant_output_0"], ["y"])]
            #expect(try !finding(shift, shifted, producer: "pytorch").isParameter)
        }
        let slope = ParameterModels.tensor("onnx::PRelu_7", [1], [0.5])
        #expect(try finding(slope, [("PRelu", "", ["x", "onnx::PRelu_7"], ["y"])]).isParameter)
        #expect(try finding(slope, [("Gemm", "", ["x", "k", "onnx::PRelu_7"], ["y"])]).reason == "bias of Gemm")
    }

    /// What `named_parameters()` lists of make_parameter_fixtures.py's Conventions, and nothing else.
    @Test func torchScriptFilesWithoutMetadata() throws {
        let findings = try findings("conventions_torchscript")
        let folded = findings.filter { $0.isParameter && TensorName.isMadeUp($0.name) }
        #expect(
            findings.parameters.subtracting(folded.map(\.name)) == [
                "conv.weight", "conv.bias", "gate", "mix.bias", "positions.0.bias", "positions.2.bias",
            ])
        // The folded ones are `token` and the transposed weights of `mix`, `positions.0`, `positions.2` and `head`.
        #expect(folded.count == 5)
        #expect(folded.filter { $0.reason == "tensor computed on export read by Expand" }.count == 1)
        #expect(folded.filter { $0.reason == "weight of MatMul" }.count == 4)
        let reasons = Set(findings.filter { !$0.isParameter }.map(\.reason))
        #expect(reasons.isSuperset(of: ["a filter that is the same for every channel", "zeros in place of a bias"]))
        #expect(findings["relative_coords_table"]?.reason == "does not train by its name")
    }

    /// weight / (u · weight v), as PyTorch's spectral norm writes it, a grid that is subtracted from, slopes that multiply
    /// and matrices that were computed; none of them by a program that says what it trains.
    @Test func buffersThatProgramsName() throws {
        let graph = ParameterModels.graph(
            [
                ParameterModels.tensor("l.weight_orig", [3, 3], ParameterModels.irregular([3, 3])),
                ParameterModels.tensor("l.weight_u", [3], [0.6, 0.8, 0]),
                ParameterModels.tensor("l.weight_v", [3], [0.8, 0, 0.6]),
                ParameterModels.tensor("centres", [3], [-1, 0, 1]),
                ParameterModels.tensor("slopes", [3], [1, 0.5, 0.25]),
                ParameterModels.tensor("steps", [3], [-1, 0, 1]),
                ParameterModels.tensor("transform", [3, 3], [1, 2, 3, 2, 4, 5, 3, 5, 6]),
                ParameterModels.tensor("bank", [3, 3], [0, 1, 0, 0, 0.5, 0.5, 0, 0, 0]),
                ParameterModels.tensor("edges", [1, 3, 3], [-1, 0, 1, -2, 0, 2, 1, -2, 1]),
            ],
            [
                ("MatMul", "", ["l.weight_orig", "l.weight_v"], ["wv"]), ("MatMul", "", ["l.weight_u", "wv"], ["s"]),
                ("Div", "", ["l.weight_orig", "s"], ["w"]), ("MatMul", "", ["x", "w"], ["a"]),
                ("Sub", "", ["a", "centres"], ["b"]), ("Mul", "", ["b", "slopes"], ["c"]),
                ("Mul", "", ["c", "steps"], ["d"]), ("MatMul", "", ["d", "transform"], ["e"]),
                ("MatMul", "", ["e", "bank"], ["f"]), ("Conv", "", ["f", "edges"], ["y"]),
            ], producer: "pytorch")
        let findings = try ParameterDiscovery.findings(in: graph)
        #expect(findings.parameters == ["l.weight_orig", "steps"])
        #expect(findings["l.weight_u"]?.reason == "a singular vector that power iteration found")
        #expect(findings["centres"]?.reason == "a grid of evenly spaced numbers")
    }

    @Test func madeUpNames() {
        for name in [
            "onnx::Conv_3", "val_7", "_val_2", "/norm/Constant_output_0", "42", "Constant_12", "const_fold_opt__31",
        ] {
            #expect(TensorName.isMadeUp(name), "\(name)")
        }
        for name in ["fc.weight", "layers.0.bias", "cls_token", "val_loss", "value", "model/dense/kernel:0", "w1"] {
            #expect(!TensorName.isMadeUp(name), "\(name)")
        }
    }
}
