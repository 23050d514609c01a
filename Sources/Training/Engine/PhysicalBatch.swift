public import Execution
public import Kernels
public import PrivacyAccounting
public import PrivateGradients

/// Chooses how many rows are computed at once.
public enum PhysicalBatch {
    /// The size tried first unless the user says one: larger batches gain little speed on a CPU.
    public static let largestDefault = 256

    /// Bytes that training keeps from step to step beside weights and optimiser: correlated noise.
    public static func rememberedBytes(_ mechanism: PrivacyMechanism, parameters: ParameterMemory) -> Int {
        BandedNoise.memoryBytes(
            mechanism, parameterCount: parameters.names.reduce(0) { $0 + parameters[$1].count })
    }

    /// The largest physical batch, halved from the wish, whose step fits into `memoryLimit` bytes. Groups of rows that are
    /// larger are computed in several.
    ///
    /// - Parameters:
    ///   - wished: a number of rows asked for, which is then taken as it is; nil to choose.
    ///   - expectedBatchSize: samples of a logical batch.
    ///   - rememberedBytes: what the limit has to hold beside the step.
    /// - Throws: what building the step's graph throws; `ExecutionError` if even the smallest batch needs more.
    public static func size(
        wished: Int?, expectedBatchSize: Int, memoryLimit: Int, rememberedBytes: Int = 0, model: TrainableModel,
        loss: LossSpecification, clipping: ClippingOptions, data: DataSet, pool: ThreadPool
    ) throws -> Int {
        if let wished { return model.sizes.batchSize(wished: wished) }
        let (rows, _) = expectedBatchSize.multipliedReportingOverflow(by: data.groups?.largest ?? 1)
        var size = model.sizes.batchSize(wished: min(rows, largestDefault))
        while true {
            let shapes = BatchShapes(data, rows: size, isFixed: model.sizes.fixedBatchSize != nil)
            var bytes = 0
            for width in Set([shapes.widths.first!, shapes.widths.last!]) {
                let step = try GradientEngine.step(
                    model, loss: loss, clipping: clipping, data: data, shape: shapes.largest(width: width))
                let sums = Set(model.trainable.map(PrivateStep.sum))
                bytes = max(bytes, try Plan.predictedBytes(step.graph, sums: sums, pool: pool))
            }
            bytes += rememberedBytes
            if bytes <= memoryLimit { return size }
            let smaller = model.sizes.batchSize(wished: size / 2)
            guard smaller < size else {
                let noise =
                    rememberedBytes > 0 ? ", with \(rememberedBytes >> 20) MiB for noise that is remembered" : ""
                throw ExecutionError(
                    "a physical batch of \(size) needs \(bytes >> 20) MiB\(noise), more than the limit of \(memoryLimit >> 20) MiB; raise --memory-limit\(noise.isEmpty ? "" : " or take fewer --bands")"
                )
            }
            size = smaller
        }
    }
}
