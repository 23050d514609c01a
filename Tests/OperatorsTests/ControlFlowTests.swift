import ONNXFormat
import TensorGraph
import Testing

@testable import Operators

/// Control flow that decides for all samples at once; its values are tested against ONNX Runtime's (ConformanceTests) and
/// its gradients against PyTorch's (DPONNXTests).
@Suite struct ControlFlowTests {
    private static func node(
        _ type: String, _ inputs: [String], _ output: String, _ attributes: [String: AttributeValue] = [:]
    ) -> ImportedNode {
        ImportedNode(
            name: "the \(output)", operatorType: type, opsetVersion: 13, inputs: inputs, outputs: [output],
            attributes: attributes)
    }

    private static func port(_ name: String) -> ImportedGraph.Port {
        ImportedGraph.Port(name: name, dataType: .float32, dimensions: nil)
    }

    private static func body(_ inputs: [String], _ outputs: [String], _ nodes: [ImportedNode]) -> AttributeValue {
        .graph(
            ImportedGraph(
                name: "body", inputs: inputs.map(port), outputs: outputs.map(port), initializers: [], nodes: nodes))
    }

    /// x [B, 3] -> y
    private static func model(_ nodes: [ImportedNode]) -> ImportedGraph {
        let numbers: [(String, [Int64], [Int])] = [("zero", [0], []), ("two", [2], []), ("many", [1 << 40], [])]
        return ImportedGraph(
            name: "model",
            inputs: [.init(name: "x", dataType: .float32, dimensions: [.symbol("B"), .fixed(3)])],
            outputs: [port("y")],
            initializers: numbers.map { name, values, shape in
                .init(name: name, dataType: .int64, shape: shape) { Constant(values, shape: shape) }
            }, nodes: nodes)
    }

    private func specialized(_ nodes: [ImportedNode], batch: Int = 4) throws -> SpecializedModel {
        func sizes(_ batch: Int) -> RunSizes { RunSizes(batchSize: batch, inputShapes: ["x": [batch, 3]]) }
        return try Specializer(Self.model(nodes), registry: .standard, trainable: []).specialize(
            sizes(batch), reference: sizes(batch + 1))
    }

    private static let doubling = body(
        ["run", "go", "before"], ["on", "after"],
        [node("Identity", ["go"], "on"), node("Add", ["before", "before"], "after")])
    private static let batchSize = [
        node("Shape", ["x"], "shape"), node("Gather", ["shape", "zero"], "batch", ["axis": .int(0)]),
    ]

    @Test func aLoopIsWrittenOut() throws {
        let model = try specialized([Self.node("Loop", ["two", "", "x"], "y", ["body": Self.doubling])])
        #expect(model.builder.graph.nodes.map { "\($0.operation)" } == ["add", "add"])
        #expect(model.builder.graph[model.outputs[0].value].batch == .factor(BatchFactor(axis: 0)))
    }

    @Test func aLoopMayCarryNothing() throws {
        let body = Self.body(
            ["run", "go"], ["on", "each"], [Self.node("Identity", ["go"], "on"), Self.node("Neg", ["x"], "each")])
        let model = try specialized([Self.node("Loop", ["two", ""], "y", ["body": body])])
        #expect(model.builder.graph.type(of: model.outputs[0].value).shape == [2, 4, 3])
    }

    /// Two samples run twice, three three times: each would be doubled once more because another is there.
    @Test func asManyRunsAsSamplesMix() throws {
        let model = try specialized(
            Self.batchSize + [Self.node("Loop", ["batch", "", "x"], "y", ["body": Self.doubling])])
        let mixing = model.builder.mixingNodes(before: model.outputs[0].value)
        #expect(mixing.map(\.origin.name) == ["the y"])
        #expect(mixing.first?.mixing.reason.contains("number of runs") == true)
    }

    /// A loop whose run i computes `each` from what it reads of x.
    private func overSamples(_ reading: [ImportedNode]) throws -> SpecializedModel {
        let body = Self.body(["run", "go"], ["on", "each"], [Self.node("Identity", ["go"], "on")] + reading)
        return try specialized(Self.batchSize + [Self.node("Loop", ["batch", ""], "y", ["body": body])])
    }

    @Test func aLoopOverSamplesComputesAllAtOnce() throws {
        let model = try overSamples([
            Self.node("Gather", ["x", "run"], "own"), Self.node("Neg", ["own"], "minus"),
            Self.node("Add", ["minus", "own"], "each"),
        ])
        let output = model.outputs[0].value
        #expect(model.builder.graph.type(of: output).shape == [4, 3])
        #expect(model.builder.graph[output].batch == .factor(BatchFactor(axis: 0)))
        var builder = model.builder
        builder.addOutput("y", output)
        #expect(builder.finish().nodes.map { "\($0.operation)" } == ["neg", "add"])
    }

    /// The first sample in every run, its neighbour, the number of the run, and the samples in another order.
    @Test func aLoopThatReadsOtherSamplesMixes() throws {
        let own = Self.node("Gather", ["x", "run"], "own")
        let others: [[ImportedNode]] = [
            [Self.node("Gather", ["x", "zero"], "each")],
            [own, Self.node("Gather", ["x", "zero"], "first"), Self.node("Add", ["own", "first"], "each")],
            [own, Self.node("Cast", ["run"], "number", ["to": .int(1)]), Self.node("Mul", ["own", "number"], "each")],
            [Self.node("Neg", ["run"], "back"), Self.node("Gather", ["x", "back"], "each")],
            [own, Self.node("Add", ["x", "own"], "sums"), Self.node("Gather", ["sums", "run"], "each")],
        ]
        for nodes in others {
            let model = try overSamples(nodes)
            #expect(!model.builder.mixingNodes(before: model.outputs[0].value).isEmpty)
        }
    }

    @Test func aBranchChosenByTheNumberOfSamplesMixes() throws {
        let model = try specialized(
            Self.batchSize + [
                Self.node("Less", ["two", "batch"], "many samples"),
                Self.node(
                    "If", ["many samples"], "y",
                    [
                        "then_branch": Self.body([], ["a"], [Self.node("Neg", ["x"], "a")]),
                        "else_branch": Self.body([], ["b"], [Self.node("Abs", ["x"], "b")]),
                    ]),
            ], batch: 2)
        let mixing = model.builder.mixingNodes(before: model.outputs[0].value)
        #expect(mixing.first?.mixing.reason.contains("condition") == true)
    }

    /// A number from the batch size that enters values inside a body, where it comes from outside.
    @Test func theBatchSizeAsANumberInABody() throws {
        let divided = Self.body(
            ["run", "go", "before"], ["on", "after"],
            [
                Self.node("Identity", ["go"], "on"), Self.node("Cast", ["batch"], "count", ["to": .int(1)]),
                Self.node("Div", ["before", "count"], "after"),
            ])
        let model = try specialized(Self.batchSize + [Self.node("Loop", ["two", "", "x"], "y", ["body": divided])])
        let mixing = model.builder.mixingNodes(before: model.outputs[0].value)
        #expect(mixing.first?.origin.name == "the after")
        #expect(mixing.first?.mixing.reason.contains("computed from the batch size") == true)
    }

    @Test(arguments: [1, 4]) func aConditionFromSamplesIsRefused(batch: Int) throws {
        let nodes = [
            Self.node("ReduceMax", ["x"], "largest", ["keepdims": .int(0)]),
            Self.node("Cast", ["largest"], "condition", ["to": .int(9)]),
            Self.node(
                "If", ["condition"], "y",
                [
                    "then_branch": Self.body([], ["a"], [Self.node("Neg", ["x"], "a")]),
                    "else_branch": Self.body([], ["b"], [Self.node("Abs", ["x"], "b")]),
                ]),
        ]
        let error = #expect(throws: GraphError.self) { try specialized(nodes, batch: batch) }
        #expect(error?.kind == .mixesSamples)
        #expect(error?.place == "node 'the y' (If)")
        #expect(error?.message.contains("condition") == true)
    }

    private static let refused: [(ImportedNode, String)] = [
        (node("Loop", ["many", "", "x"], "y", ["body": doubling]), "too often"),
        (node("Loop", ["two", "", "x", "x"], "y", ["body": doubling]), "from run to run"),
        (node("Loop", ["two", "", "x"], "y"), "'body'"),
        (node("SequenceAt", ["x", "zero"], "y"), "no sequence"),
        (node("OptionalGetElement", [], "y"), "empty optional"),
    ]

    @Test(arguments: refused.indices) func refuses(_ index: Int) {
        let (node, mention) = Self.refused[index]
        let error = #expect(throws: GraphError.self) { try specialized([node]) }
        #expect(error?.place == "\(node.origin)")
        #expect(error?.message.contains(mention) == true, "\(error?.message ?? "")")
    }
}
