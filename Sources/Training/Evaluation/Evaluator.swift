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
        feeder = BatchFeeder(plan, data: data, shape: BatchShape(samples: batchSize, rowsPerSample: 1))
        self.data = data
        self.loss = loss
    }

    /// Evaluates the current parameters on all rows. The loss is the mean over samples, also where several rows form one;
    /// other metrics count rows.
    /// - Parameter progress: told how many rows are done.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func evaluate(progress: (Int) -> Void = { _ in }) throws -> Metrics {
        var tally = MetricsTally(loss.kind)
        try add(data, to: &tally, progress: progress)
        return tally.metrics
    }

    /// Evaluates the current parameters on all rows of `data`, which has the keys and shapes of samples of the
    /// evaluator's own data set, and adds the results to those of other rows.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func add(_ data: DataSet, to tally: inout MetricsTally, progress: (Int) -> Void = { _ in }) throws {
        let shape = Array(predictionShape.dropFirst())
        var shares = [Double](repeating: 1, count: data.count)
        for rows in data.groups?.rows ?? [] { for row in rows { shares[row] = 1 / Double(rows.count) } }
        for start in stride(from: 0, to: data.count, by: feeder.shape.rows) {
            let rows = Array(start..<min(start + feeder.shape.rows, data.count))
            try feeder.feed(rows.map { [$0] }, of: data, to: plan)
            plan.run()
            let losses = plan.outputMemory(Self.losses)!.bindMemory(to: Float.self)
            let predictions = plan.outputMemory(Self.prediction)!.bindMemory(to: Float.self)
            try tally.add(
                rows, of: data, shares: rows.map { shares[$0] },
                losses: UnsafeBufferPointer(rebasing: losses.prefix(rows.count)),
                predictions: UnsafeBufferPointer(rebasing: predictions.prefix(shape.reduce(rows.count, *))),
                sampleShape: shape)
            progress(rows.last! + 1)
        }
    }
}
