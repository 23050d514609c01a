import ONNXFormat
import TensorGraph
import Testing

@testable import Operators

/// Sorting of samples by their lengths, as PyTorch exports it for packed sequences. What becomes of a whole model is tested
/// against PyTorch (DPONNXTests).
@Suite struct SampleSortingTests {
    private static func node(
        _ type: String, _ inputs: [String], _ outputs: [String], _ attributes: [String: AttributeValue] = [:]
    ) -> ImportedNode {
        ImportedNode(
            name: outputs[0], operatorType: type, opsetVersion: 13, inputs: inputs, outputs: outputs,
            attributes: attributes)
    }

    /// Sorts x [B, 2] by n [B], does `between` from "sorted" to "done", and leaves `last` to make y.
    private func model(between: ImportedNode, last: [ImportedNode]) -> ImportedGraph {
        let numbers: [(String, Int64)] = [("zero", 0), ("one", 1)]
        return ImportedGraph(
            name: "model",
            inputs: [
                .init(name: "x", dataType: .float32, dimensions: [.symbol("B"), .fixed(2)]),
                .init(name: "n", dataType: .int64, dimensions: [.symbol("B")]),
            ],
            outputs: [.init(name: "y", dataType: .float32, dimensions: nil)],
            initializers: numbers.map { name, value in
                .init(name: name, dataType: .int64, shape: []) { Constant([value], shape: []) }
            },
            nodes: [
                Self.node("Shape", ["n"], ["shape"]), Self.node("Gather", ["shape", "zero"], ["count"]),
                Self.node("TopK", ["n", "count"], ["lengths", "order"]),
                Self.node("Gather", ["x", "order"], ["sorted"]), between,
                Self.node("Shape", ["order"], ["sizes"]), Self.node("ConstantOfShape", ["sizes"], ["zeros"]),
                Self.node("Range", ["zero", "count", "one"], ["places"]),
                Self.node("ScatterElements", ["zeros", "order", "places"], ["inverse"]),
            ] + last)
    }

    private func kinds(_ graph: ImportedGraph) -> [String] {
        SampleSorting.removed(from: graph).neededNodes.map(\.operatorType)
    }

    private let back = SampleSortingTests.node("Gather", ["done", "inverse"], ["y"])

    @Test func aSortingThatIsUndoneGoes() {
        let between = Self.node("Transpose", ["sorted"], ["done"])
        #expect(kinds(model(between: between, last: [back])) == ["Identity", "Transpose", "Identity"])
    }

    /// Results in sorted order, sorted data beside unsorted, a second order, and what looks at neighbours.
    @Test func otherSortingsStay() {
        let between = Self.node("Transpose", ["sorted"], ["done"])
        let others: [(ImportedNode, [ImportedNode])] = [
            (between, [Self.node("Identity", ["done"], ["y"])]),
            (between, [Self.node("Gather", ["done", "order"], ["y"])]),
            (Self.node("Gather", ["one", "order"], ["done"]), [back]),
            (between, [Self.node("Gather", ["x", "inverse"], ["y"]), Self.node("Identity", ["done"], ["z"])]),
            (Self.node("Concat", ["sorted", "x"], ["done"], ["axis": .int(1)]), [back]),
            (Self.node("CumSum", ["sorted", "zero"], ["done"]), [back]),
        ]
        for (between, last) in others {
            #expect(
                SampleSorting.removed(from: model(between: between, last: last)).nodes.contains {
                    $0.operatorType == "TopK" && $0.outputs[0] == "lengths"
                })
        }
    }

    /// The same with a batch of three that the model fixes, constants in place of what follows from its size, and a state
    /// [3, 1] that is sorted beside x.
    private func fixedModel(places: [Int64] = [0, 1, 2], state: [Float] = [5, 5, 5]) -> ImportedGraph {
        var graph = model(between: Self.node("Concat", ["sorted", "own"], ["done"], ["axis": .int(1)]), last: [back])
        for index in graph.inputs.indices { graph.inputs[index].dimensions?[0] = .fixed(3) }
        let folded: Set<String> = ["shape", "count", "sizes", "zeros", "places"]
        graph.nodes.removeAll { folded.contains($0.outputs[0]) }
        graph.nodes.insert(Self.node("Gather", ["state", "order"], ["own"]), at: 2)
        let constants = [
            ("count", Constant([3] as [Int64])), ("zeros", Constant([0, 0, 0] as [Int64])),
            ("places", Constant(places)), ("state", Constant(state, shape: [3, 1])),
        ]
        graph.initializers += constants.map { name, value in
            .init(name: name, dataType: name == "state" ? .float32 : .int64, shape: value.type.shape) { value }
        }
        return graph
    }

    @Test func aSortingOfAFixedBatchGoes() {
        #expect(kinds(fixedModel()) == ["Identity", "Identity", "Concat", "Identity"])
        for other in [fixedModel(places: [0, 2, 1]), fixedModel(state: [5, 5, 6])] {
            #expect(kinds(other).contains("TopK"))
        }
    }

    /// A size that a file states is not one to allocate for.
    @Test func batchesThatCannotBeAreNotSorted() {
        var graph = fixedModel()
        let size = Int(1) << 60
        for index in graph.inputs.indices { graph.inputs[index].dimensions?[0] = .fixed(size) }
        let count = graph.initializers.firstIndex { $0.name == "count" }!
        graph.initializers[count].load = { Constant([Int64(size)]) }
        #expect(kinds(graph).contains("TopK"))
    }
}
