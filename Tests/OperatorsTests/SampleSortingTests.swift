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
}
