import DPONNX
import Foundation
import Testing

/// Logits whose shape fits classes on either of two axes: [B, 2, 2] with two targets per sample.
@Suite struct ClassAxisTests {
    private static let logits: [Float] = [0.3, -1.2, 2.0, 0.7, -0.4, 1.1, 0.2, 0.9]

    /// logits = w + x, x [B, 2, 2].
    private func loss(_ specification: LossSpecification) throws -> [Float] {
        let graph = ImportedGraph(
            name: "square",
            inputs: [.init(name: "x", dataType: .float32, dimensions: [.symbol("B"), .fixed(2), .fixed(2)])],
            outputs: [.init(name: "logits", dataType: .float32, dimensions: nil)],
            initializers: [
                .init(name: "w", dataType: .float32, shape: [2, 2]) {
                    Constant([0, 0, 0, 0] as [Float], shape: [2, 2])
                }
            ],
            nodes: [
                ImportedNode(
                    name: "add", operatorType: "Add", opsetVersion: 17, inputs: ["x", "w"], outputs: ["logits"])
            ])
        let model = try TrainableModel(
            graph, registry: .standard, trainable: ["w"], sizes: InputSizes(graph, sampleShapes: [:]))
        let data = try DataSet(
            arrays: [
                NamedArray(name: "x", shape: [2, 2, 2], values: Self.logits),
                NamedArray(name: "labels", shape: [2, 2], values: [0, 1, 1, 1] as [Int64]),
            ], targetKey: "labels")
        let engine = try GradientEngine(
            model, loss: specification, clipping: ClippingOptions(clippingNorm: 1), data: data, batchSize: 2,
            parameters: model.makeParameters(), pool: ThreadPool(threads: 1))
        engine.reset()
        return try engine.accumulate([0, 1]).map(\.loss)
    }

    /// -log softmax of the target's logit, the mean of two positions; classes lie `step` apart.
    private func expected(step: Int) -> [Float] {
        let labels = [[0, 1], [1, 1]]
        return labels.enumerated().map { sample, labels in
            let losses = labels.enumerated().map { position, label in
                let first = 4 * sample + position * (step == 1 ? 2 : 1)
                let scores = [Self.logits[first], Self.logits[first + step]].map(Double.init)
                return log(exp(scores[0]) + exp(scores[1])) - scores[label]
            }
            return Float(losses.reduce(0, +) / 2)
        }
    }

    private func agrees(_ losses: [Float], _ expected: [Float]) -> Bool {
        zip(losses, expected).allSatisfy { abs($0 - $1) < 1e-6 }
    }

    @Test(arguments: [(nil, 2), (1, 2), (-2, 2), (2, 1), (-1, 1)] as [(Int?, Int)])
    func isChosen(_ axis: Int?, step: Int) throws {
        let losses = try loss(LossSpecification(classAxis: axis))
        #expect(agrees(losses, expected(step: step)) && !agrees(losses, expected(step: 3 - step)))
    }

    @Test(arguments: [0, 3, -4]) func refusesAxesThatHoldNoClasses(_ axis: Int) {
        let error = #expect(throws: GraphError.self) { try loss(LossSpecification(classAxis: axis)) }
        #expect(error?.message.contains("has no class axis \(axis)") == true)
    }
}
