import Execution
public import Kernels
public import PrivateGradients

/// Chooses how many samples are computed at once.
public enum PhysicalBatch {
    /// The size tried first unless the user says one: larger batches gain little speed on a CPU.
    public static let largestDefault = 256

    /// The largest physical batch, halved from the wish, whose step fits into `memoryLimit` bytes.
    ///
    /// - Parameter wished: a size asked for, which is then taken as it is; nil to choose.
    /// - Throws: what building the step's graph throws; `ExecutionError` if even the smallest batch needs more.
    public static func size(
        wished: Int?, expectedBatchSize: Int, memoryLimit: Int, model: TrainableModel, loss: LossSpecification,
        clipping: ClippingOptions, data: DataSet, pool: ThreadPool
    ) throws -> Int {
        if let wished { return model.sizes.batchSize(wished: wished) }
        var size = model.sizes.batchSize(wished: min(expectedBatchSize, largestDefault))
        while true {
            let step = try GradientEngine.step(model, loss: loss, clipping: clipping, data: data, batchSize: size)
            let bytes = try Plan.predictedBytes(step.graph, pool: pool)
            if bytes <= memoryLimit { return size }
            let smaller = model.sizes.batchSize(wished: size / 2)
            guard smaller < size else {
                throw ExecutionError(
                    "a physical batch of \(size) needs \(bytes >> 20) MiB, more than the limit of \(memoryLimit >> 20) MiB; raise --memory-limit"
                )
            }
            size = smaller
        }
    }
}
