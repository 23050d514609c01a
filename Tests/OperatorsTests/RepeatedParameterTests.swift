import ONNXFormat
import Operators
import TensorGraph
import TestSupport
import Testing

/// A learned token that a model repeats once per sample and joins to the sequence, in the ways exporters write it.
@Suite struct RepeatedParameterTests {
    private let positions = 2
    private let width = 3

    /// y = the token, repeated for each sample by `nodes`, in front of the positions of x [B, positions, width].
    private func model(_ nodes: [ImportedNode]) -> ImportedGraph {
        let token = ImportedGraph.Initializer(name: "token", dataType: .float32, shape: [1, 1, width]) {
            Constant([0, 0, 0] as [Float], shape: [1, 1, 3])
        }
        let numbers: [(String, [Int64])] = [("zero", [0]), ("ones", [1, 1])]
        let sizes = numbers.map { name, values in
            ImportedGraph.Initializer(name: name, dataType: .int64, shape: [values.count]) { Constant(values) }
        }
        let shape = [
            ImportedNode(name: "shape", operatorType: "Shape", opsetVersion: 13, inputs: ["x"], outputs: ["shape"]),
            ImportedNode(
                name: "batch", operatorType: "Gather", opsetVersion: 13, inputs: ["shape", "zero"], outputs: ["batch"]),
        ]
        let join = ImportedNode(
            name: "join", operatorType: "Concat", opsetVersion: 13, inputs: ["tokens", "x"], outputs: ["y"],
            attributes: ["axis": .int(1)])
        return ImportedGraph(
            name: "model",
            inputs: [
                .init(name: "x", dataType: .float32, dimensions: [.symbol("B"), .fixed(positions), .fixed(width)])
            ],
            outputs: [.init(name: "y", dataType: .float32, dimensions: nil)],
            initializers: [token] + sizes,
            nodes: shape + nodes + [join])
    }

    private static func sizes(_ rest: String) -> ImportedNode {
        ImportedNode(
            name: "sizes", operatorType: "Concat", opsetVersion: 13, inputs: ["batch", rest], outputs: ["sizes"],
            attributes: ["axis": .int(0)])
    }

    static let ways: [String: [ImportedNode]] = [
        "expand": [
            sizes("ones"),
            ImportedNode(
                name: "expand", operatorType: "Expand", opsetVersion: 13, inputs: ["token", "sizes"],
                outputs: ["tokens"]),
        ],
        "tile": [
            sizes("ones"),
            ImportedNode(
                name: "tile", operatorType: "Tile", opsetVersion: 13, inputs: ["token", "sizes"], outputs: ["tokens"]),
        ],
    ]

    @Test(arguments: ways.keys.sorted(), [1, 4])
    func gradientOfEachSample(_ way: String, batch: Int) throws {
        let specializer = Specializer(model(Self.ways[way]!), registry: .standard, trainable: ["token"])
        func sizes(_ batch: Int) -> RunSizes {
            RunSizes(batchSize: batch, inputShapes: ["x": [batch, positions, width]])
        }
        let specialized = try specializer.specialize(sizes(batch), reference: sizes(batch + 1))
        var builder = specialized.builder
        #expect(builder.mixingNodes.isEmpty)
        let y = try #require(specialized["y"])
        #expect(builder.graph[y].batch == .factor(BatchFactor(axis: 0)))
        let g = builder.addInput("g", builder.type(of: y), batch: nil)
        builder.followsBatch = false

        // Back from the joined sequence to the node that repeats the token.
        var value = y
        var gradient = g
        while true {
            let node = try #require(builder.graph.producer(of: value))
            if builder.graph[node.inputs[0]].batch == .free {
                let site = try node.operation.site(0, of: node, outputGradients: [gradient], in: &builder)
                builder.addOutput("perSample", try site.perSampleGradients(in: &builder))
                break
            }
            gradient = try #require(
                try node.operation.inputGradient(0, of: node, outputGradients: [gradient], in: &builder))
            value = node.inputs[0]
        }
        var numbers = Numbers(seed: 71)
        let direction = numbers.floats([batch, 1 + positions, width])
        let result = evaluate(
            builder.finish(), inputs: ["g": direction, "x": numbers.floats([batch, positions, width])])
        let perSample = result["perSample"]!
        #expect(perSample.type.count == batch * width)
        let rows = direction.doubles
        let expected = (0..<batch).flatMap { sample in
            let start = sample * (1 + positions) * width
            return Array(rows[start..<start + width])
        }
        #expect(perSample.doubles == expected)
    }

    /// Positions that are the same for every sample meet a parameter and then the samples, which lie on the second axis, as
    /// in XLNet's relative attention.
    @Test func positionsByParameters() throws {
        func node(_ type: String, _ inputs: [String], _ attributes: [String: AttributeValue] = [:]) -> ImportedNode {
            ImportedNode(
                name: type + inputs[0], operatorType: type, opsetVersion: 13, inputs: inputs,
                outputs: [type + inputs[0]], attributes: attributes)
        }
        func tensor(_ name: String, _ shape: [Int]) -> ImportedGraph.Initializer {
            ImportedGraph.Initializer(name: name, dataType: .float32, shape: shape) {
                Constant((0..<shape.reduce(1, *)).map(Float.init), shape: shape)
            }
        }
        func numbers(_ name: String, _ values: [Int64]) -> ImportedGraph.Initializer {
            ImportedGraph.Initializer(name: name, dataType: .int64, shape: [values.count]) { Constant(values) }
        }
        let graph = ImportedGraph(
            name: "model",
            inputs: [.init(name: "x", dataType: .float32, dimensions: [.symbol("B"), .fixed(3), .fixed(2)])],
            outputs: [.init(name: "scores", dataType: .float32, dimensions: nil)],
            initializers: [tensor("positions", [5, 1, 2]), tensor("r", [2, 2, 3]), tensor("q", [2, 2, 3])] + [
                numbers("zero", [0]), numbers("one", [1]),
            ],
            nodes: [
                node("Transpose", ["x"], ["perm": .ints([1, 0, 2])]), node("Shape", ["x"]),
                node("Gather", ["Shapex", "zero"]), node("Concat", ["one", "GatherShapex", "one"], ["axis": .int(0)]),
                node("Expand", ["positions", "Concatone"]),
                node("Einsum", ["Expandpositions", "r"], ["equation": .string("ibh,hnd->ibnd")]),
                node("Einsum", ["Transposex", "q"], ["equation": .string("ibh,hnd->ibnd")]),
                ImportedNode(
                    name: "scores", operatorType: "Einsum", opsetVersion: 13,
                    inputs: ["EinsumTransposex", "EinsumExpandpositions"], outputs: ["scores"],
                    attributes: ["equation": .string("ibnd,jbnd->bnij")]),
            ])
        let specializer = Specializer(graph, registry: .standard, trainable: ["r", "q"])
        let specialized = try specializer.specialize(
            RunSizes(batchSize: 4, inputShapes: ["x": [4, 3, 2]]),
            reference: RunSizes(batchSize: 5, inputShapes: ["x": [5, 3, 2]]))
        #expect(specialized.builder.mixingNodes.isEmpty)
        #expect(specialized.builder.graph[try #require(specialized["scores"])].batch == .factor(BatchFactor(axis: 0)))
    }

    /// A bias of attention is added to a mask that is repeated for the windows of all samples, and both to scores whose
    /// first axis holds (B, windows), as in Swin; `mask` says which window of which sample is hidden.
    private func windowed(mask: [Float], batch: Dimension) -> ImportedGraph {
        func node(_ type: String, _ inputs: [String], _ output: String) -> ImportedNode {
            ImportedNode(
                name: output, operatorType: type, opsetVersion: 13, inputs: inputs, outputs: [output])
        }
        return ImportedGraph(
            name: "windows",
            inputs: [.init(name: "x", dataType: .float32, dimensions: [batch, .fixed(2), .fixed(3)])],
            outputs: [.init(name: "y", dataType: .float32, dimensions: nil)],
            initializers: [
                .init(name: "mask", dataType: .float32, shape: [mask.count, 1]) {
                    Constant(mask, shape: [mask.count, 1])
                },
                .init(name: "bias", dataType: .float32, shape: [1, 3]) {
                    Constant([0, 0, 0] as [Float], shape: [1, 3])
                },
                .init(name: "rows", dataType: .int64, shape: [2]) { Constant([-1, 3] as [Int64]) },
            ],
            nodes: [
                node("Reshape", ["x", "rows"], "windows"), node("Add", ["bias", "mask"], "hidden"),
                node("Add", ["windows", "hidden"], "y"),
            ])
    }

    @Test func biasOfWindows() throws {
        let batch = 3
        let graph = windowed(mask: [0, -9, 0, -9, 0, -9], batch: .fixed(batch))
        let specialized = try Specializer(graph, registry: .standard, trainable: ["bias"]).specialize(
            RunSizes(batchSize: batch, inputShapes: ["x": [batch, 2, 3]]), reference: nil)
        var builder = specialized.builder
        #expect(builder.mixingNodes.isEmpty)
        let y = try #require(specialized["y"])
        #expect(builder.graph[y].batch == .factor(BatchFactor(axis: 0, inner: 2)))
        let g = builder.addInput("g", builder.type(of: y), batch: nil)
        builder.followsBatch = false
        // Back from the sum to the copies of the bias, one per sample.
        var node = try #require(builder.graph.producer(of: y))
        var gradient = try #require(try node.operation.inputGradient(1, of: node, outputGradients: [g], in: &builder))
        node = try #require(builder.graph.producer(of: node.inputs[1]))
        while builder.graph[node.inputs[0]].batch != .free {
            gradient = try #require(
                try node.operation.inputGradient(0, of: node, outputGradients: [gradient], in: &builder))
            node = try #require(builder.graph.producer(of: node.inputs[0]))
        }
        let site = try node.operation.site(0, of: node, outputGradients: [gradient], in: &builder)
        builder.addOutput("perSample", try site.perSampleGradients(in: &builder))
        var numbers = Numbers(seed: 72)
        let direction = numbers.floats([2 * batch, 3])
        let result = evaluate(builder.finish(), inputs: ["g": direction, "x": numbers.floats([batch, 2, 3])])
        // A copy holds a row for each window.
        #expect(result["perSample"]!.doubles == direction.doubles)
    }

    @Test func biasOfWindowsThatDiffer() throws {
        let graph = windowed(mask: [0, -9, 0, -9, -9, 0], batch: .fixed(3))
        let specialized = try Specializer(graph, registry: .standard, trainable: ["bias"]).specialize(
            RunSizes(batchSize: 3, inputShapes: ["x": [3, 2, 3]]), reference: nil)
        #expect(specialized.builder.mixingNodes.map(\.origin.name) == ["y"])
    }
}
