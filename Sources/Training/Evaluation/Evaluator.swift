public import Execution
public import Kernels
import Operators
import TensorGraph

/// Computes loss and metrics of a model over a data set.
public struct Evaluator {
    private static let losses = "dponnx.losses"
    private static let prediction = "dponnx.prediction"

    private let plan: Plan
    private let feeder: BatchFeeder
    private let data: DataSet
    private let loss: LossSpecification
    private let predictionShape: [Int]

    /// - Throws: `GraphError` if the model mixes samples, cannot be computed, or does not fit the loss;
    ///   `ExecutionError` if memory is refused.
    public init(
        _ model: TrainableModel, loss: LossSpecification, data: DataSet, batchSize wished: Int,
        parameters: ParameterMemory, pool: ThreadPool
    ) throws {
        let batchSize = model.sizes.batchSize(wished: min(wished, data.count))
        let targetShape = loss.targetType == nil ? nil : data.targetKey.map { data[$0].rowShape }
        var graph = try loss.append(to: try model.specialized(batchSize: batchSize), targetShape: targetShape)
        graph.builder.addOutput(Self.losses, graph.loss)
        graph.builder.addOutput(Self.prediction, graph.prediction)
        predictionShape = graph.builder.shape(of: graph.prediction)
        plan = try Plan(graph.builder.finish(), parameters: parameters, pool: pool)
        feeder = BatchFeeder(plan, data: data, batchSize: batchSize)
        self.data = data
        self.loss = loss
    }

    /// Evaluates the current parameters on all rows.
    /// - Parameter progress: told how many rows are done.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func evaluate(progress: (Int) -> Void = { _ in }) throws -> Metrics {
        var metrics = Metrics()
        metrics.sampleCount = data.count
        var classification: ClassificationCounter?
        var elements: ElementCounter?
        switch loss.kind {
        case .crossEntropy:
            classification = ClassificationCounter(classes: predictionShape[2], positionsPerSample: predictionShape[1])
        case .binaryCrossEntropy, .meanSquaredError, .meanAbsoluteError, .huber: elements = ElementCounter(loss.kind)
        case .output: break
        }
        var sum = 0.0
        for start in stride(from: 0, to: data.count, by: feeder.batchSize) {
            let rows = Array(start..<min(start + feeder.batchSize, data.count))
            try feeder.feed(rows, to: plan)
            plan.run()
            sum += plan.outputMemory(Self.losses)!.bindMemory(to: Float.self).prefix(rows.count)
                .reduce(0) { $0 + Double($1) }
            let values = predictionShape.dropFirst().reduce(rows.count, *)
            let predictions = UnsafeBufferPointer(
                rebasing: plan.outputMemory(Self.prediction)!.bindMemory(to: Float.self).prefix(values))
            if classification != nil {
                let count = rows.count * predictionShape[1]
                try withTargets(rows, count, of: Int64.self, { try data.gather(rows: $0, key: $1, into: $2) }) {
                    classification!.add(logits: predictions, targets: $0)
                }
            }
            if elements != nil {
                try withTargets(rows, values, of: Float.self, { data.gather(rows: $0, key: $1, into: $2) }) {
                    elements!.add(predictions: predictions, targets: $0)
                }
            }
            progress(rows.last! + 1)
        }
        metrics.loss = sum / Double(data.count)
        classification?.report(into: &metrics)
        elements?.report(into: &metrics)
        return metrics
    }

    /// Reads the targets anew: a run may have overwritten those it was fed.
    private func withTargets<Element>(
        _ rows: [Int], _ count: Int, of: Element.Type,
        _ gather: ([Int], String, UnsafeMutableBufferPointer<Element>) throws -> Void,
        _ body: (UnsafeBufferPointer<Element>) -> Void
    ) throws {
        let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: count)
        defer { buffer.deallocate() }
        try gather(rows, data.targetKey!, buffer)
        body(UnsafeBufferPointer(buffer))
    }
}
