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
            let targets = predictionShape[1] * rows.count
            if classification != nil {
                let own = try UnsafeMutableBufferPointer<Int64>.allocated(targets) {
                    try data.gather(rows: rows, key: data.targetKey!, into: $0)
                }
                defer { own.deallocate() }
                classification!.add(logits: predictions, targets: UnsafeBufferPointer(own))
            }
            if elements != nil {
                let own = UnsafeMutableBufferPointer<Float>.allocated(targets) {
                    data.gather(rows: rows, key: data.targetKey!, into: $0)
                }
                defer { own.deallocate() }
                elements!.add(predictions: predictions, targets: UnsafeBufferPointer(own))
            }
            progress(rows.last! + 1)
        }
        metrics.loss = sum / Double(data.count)
        classification?.report(into: &metrics)
        elements?.report(into: &metrics)
        return metrics
    }
}

extension UnsafeMutableBufferPointer {
    /// New memory that `fill` has written; a run may overwrite the targets it was fed, so they are read anew.
    fileprivate static func allocated(_ count: Int, fill: (Self) throws -> Void) rethrows -> Self {
        let buffer = allocate(capacity: count)
        do {
            try fill(buffer)
        } catch {
            buffer.deallocate()
            throw error
        }
        return buffer
    }
}
