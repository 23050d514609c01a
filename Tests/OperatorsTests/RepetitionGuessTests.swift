import ONNXFormat
import Operators
import TensorGraph
import Testing

/// Parameters that a model with a fixed batch of three repeats three times, where nothing but the number says for what.
@Suite struct RepetitionGuessTests {
    private static let batch = 3

    private static func node(
        _ type: String, _ inputs: [String], _ output: String, _ attributes: [String: AttributeValue] = [:]
    ) -> ImportedNode {
        ImportedNode(
            name: output, operatorType: type, opsetVersion: 13, inputs: inputs, outputs: [output],
            attributes: attributes)
    }

    /// x [3, rows, 2] and the parameters `row` [1, 2], `columns` [1, 3, 2] and `slots` [3, 1, 2].
    private func specialized(_ nodes: [ImportedNode], rows: Int = 9) throws -> SpecializedModel {
        func tensor(_ name: String, _ shape: [Int]) -> ImportedGraph.Initializer {
            .init(name: name, dataType: .float32, shape: shape) {
                Constant((0..<shape.reduce(1, *)).map(Float.init), shape: shape)
            }
        }
        func numbers(_ name: String, _ values: [Int64]) -> ImportedGraph.Initializer {
            .init(name: name, dataType: .int64, shape: [values.count]) { Constant(values) }
        }
        let graph = ImportedGraph(
            name: "model",
            inputs: [.init(name: "x", dataType: .float32, dimensions: [.fixed(Self.batch), .fixed(rows), .fixed(2)])],
            outputs: [.init(name: "y", dataType: .float32, dimensions: nil)],
            initializers: [
                tensor("row", [1, 2]), tensor("columns", [1, 3, 2]), tensor("slots", [3, 1, 2]),
                numbers("thrice", [3, 1, 1]), numbers("twice3", [3, 2]), numbers("nine", [9, 2]),
                numbers("middle", [3, 1, 2]),
            ], nodes: nodes)
        let model = Specializer(graph, registry: .standard, trainable: ["row", "columns", "slots"])
        return try model.specialize(
            RunSizes(batchSize: Self.batch, inputShapes: ["x": [Self.batch, rows, 2]]), reference: nil)
    }

    private static let grid = [
        node("Expand", ["columns", "thrice"], "repeated"), node("Reshape", ["repeated", "nine"], "grid"),
    ]

    /// Columns that are repeated for the rows of a grid, which is added to every sample.
    @Test func rowsOfAGridAreNoSamples() throws {
        let model = try specialized(Self.grid + [Self.node("Add", ["x", "grid"], "y")])
        #expect(model.builder.mixingNodes.isEmpty)
        #expect(model.builder.graph[try #require(model["y"])].batch == .factor(BatchFactor(axis: 0)))
    }

    /// The same beside a token that is repeated for the samples.
    @Test func tokensStayCopiesPerSample() throws {
        let model = try specialized(
            Self.grid + [
                Self.node("Expand", ["row", "middle"], "tokens"), Self.node("Add", ["x", "grid"], "sum"),
                Self.node("Concat", ["tokens", "sum"], "y", ["axis": .int(1)]),
            ])
        #expect(model.builder.mixingNodes.isEmpty)
        #expect(model.builder.graph[try #require(model["tokens"])].batch == .factor(BatchFactor(axis: 0)))
    }

    /// Rows of parameters of which each sample gets its own, by its place in the batch, and samples that meet.
    @Test func whatMixesIsFoundWhateverIsGuessed() throws {
        let others = [
            // The sample at each place gets the column of that place.
            [
                Self.node("Expand", ["columns", "thrice"], "repeated"),
                Self.node("Transpose", ["repeated"], "turned", ["perm": .ints([1, 0, 2])]),
                Self.node("Add", ["x", "turned"], "y"),
            ],
            [
                Self.node("Expand", ["row", "twice3"], "rows"), Self.node("Add", ["slots", "rows"], "own"),
                Self.node("Add", ["x", "own"], "y"),
            ],
            // Samples are added up after copies of the token, and behind a grid.
            [
                Self.node("Expand", ["row", "middle"], "tokens"),
                Self.node("Concat", ["tokens", "x"], "c", ["axis": .int(1)]),
                Self.node("ReduceMax", ["c"], "all", ["axes": .ints([0]), "keepdims": .int(1)]),
                Self.node("Add", ["c", "all"], "y"),
            ],
            Self.grid + [
                Self.node("Add", ["x", "grid"], "sum"),
                Self.node("ReduceMax", ["sum"], "all", ["axes": .ints([0]), "keepdims": .int(1)]),
                Self.node("Add", ["sum", "all"], "y"),
            ],
        ]
        for (index, nodes) in others.enumerated() {
            let model = try specialized(nodes, rows: index < 2 ? 3 : 9)
            #expect(!model.builder.mixingNodes.isEmpty, "\(index)")
        }
    }
}
