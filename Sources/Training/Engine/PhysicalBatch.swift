public import Execution
public import Kernels
public import PrivacyAccounting
public import PrivateGradients

/// How many rows are computed at once, and how.
public struct PhysicalBatch: Hashable, Sendable {
    /// The size tried first unless the user says one: larger batches gain little speed on a CPU.
    public static let largestDefault = 256

    public let rows: Int
    /// What is computed more than once because it does not fit otherwise.
    public let saving: MemorySaving

    /// Bytes that training keeps from step to step beside weights and optimiser: correlated noise.
    public static func rememberedBytes(_ mechanism: PrivacyMechanism, parameters: ParameterMemory) -> Int {
        BandedNoise.memoryBytes(
            mechanism, parameterCount: parameters.names.reduce(0) { $0 + parameters[$1].count })
    }

    /// The largest physical batch, halved from the wish, whose step fits into `memoryLimit` bytes. Groups of rows that are
    /// larger are computed in several.
    ///
    /// Halving comes first, because it hardly costs time; only where the smallest batch does not fit either is memory saved
    /// by computing things anew.
    ///
    /// - Parameters:
    ///   - wished: a number of rows asked for, which is then taken as it is; nil to choose.
    ///   - expectedBatchSize: samples of a logical batch.
    ///   - rememberedBytes: what the limit has to hold beside the step.
    /// - Throws: what building the step's graph throws; `ExecutionError` if even the smallest batch needs more.
    public init(
        wished: Int?, expectedBatchSize: Int, memoryLimit: Int, rememberedBytes: Int = 0, model: TrainableModel,
        loss: LossSpecification, clipping: ClippingOptions, data: DataSet, pool: ThreadPool
    ) throws {
        if let wished {
            self.init(rows: model.sizes.batchSize(wished: wished), saving: MemorySaving())
            return
        }
        let (rows, _) = expectedBatchSize.multipliedReportingOverflow(by: data.groups?.largest ?? 1)
        let largest = model.sizes.batchSize(wished: min(rows, Self.largestDefault))
        var leastBytes = Int.max
        var smallest = largest
        for saving in [MemorySaving(), .headInBlocks] {
            var size: Int? = largest
            while let rows = size {
                let step = try Self.step(rows, saving, model, loss, clipping, data, pool)
                if step.saving != saving { break }
                let bytes = step.bytes + rememberedBytes
                if bytes <= memoryLimit {
                    self.init(rows: rows, saving: saving)
                    return
                }
                (leastBytes, smallest) = (min(leastBytes, bytes), rows)
                let half = model.sizes.batchSize(wished: rows / 2)
                size = half < rows ? half : nil
            }
        }
        let noise = rememberedBytes > 0 ? ", with \(rememberedBytes >> 20) MiB for noise that is remembered" : ""
        throw ExecutionError(
            "a physical batch of \(smallest) needs \(leastBytes >> 20) MiB\(noise), more than the limit of \(memoryLimit >> 20) MiB; raise --memory-limit\(noise.isEmpty ? "" : " or take fewer --bands")"
        )
    }

    private init(rows: Int, saving: MemorySaving) {
        self.rows = rows
        self.saving = saving
    }

    /// The bytes of the largest step over batches of `rows`, and what of the wished savings the model allows.
    private static func step(
        _ rows: Int, _ wishes: MemorySaving, _ model: TrainableModel, _ loss: LossSpecification,
        _ clipping: ClippingOptions, _ data: DataSet, _ pool: ThreadPool
    ) throws -> (bytes: Int, saving: MemorySaving) {
        let shapes = BatchShapes(data, rows: rows, isFixed: model.sizes.fixedBatchSize != nil)
        let sums = Set(model.trainable.map(PrivateStep.sum))
        var result = (bytes: 0, saving: wishes)
        for width in Set([shapes.widths.first!, shapes.widths.last!]) {
            let step = try GradientEngine.step(
                model, loss: loss, clipping: clipping, data: data, shape: shapes.largest(width: width), saving: wishes)
            result.bytes = max(result.bytes, try Plan.predictedBytes(step.graph, sums: sums, pool: pool))
            result.saving = step.saving
        }
        return result
    }
}
