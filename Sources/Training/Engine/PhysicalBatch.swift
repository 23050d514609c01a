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
    /// Halving comes first, because it hardly costs time. Only where the smallest batch does not fit either, activations
    /// are computed anew, and where that is not enough, the logits of a large vocabulary.
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
        let stepLimit = memoryLimit - rememberedBytes
        var least = (bytes: Int.max, rows: largest)
        for wish in [MemorySaving(), .headInBlocks] {
            var size: Int? = largest
            while let rows = size {
                let half = model.sizes.batchSize(wished: rows / 2)
                size = half < rows ? half : nil
                var saving = wish
                var step = try Self.step(rows, saving, model, loss, clipping, data, pool)
                if step.headBlock != saving.headBlock { break }
                if step.bytes > stepLimit, size == nil {
                    saving.activationLimit = stepLimit
                    step = try Self.step(rows, saving, model, loss, clipping, data, pool)
                }
                if step.bytes <= stepLimit {
                    self.init(rows: rows, saving: saving)
                    return
                }
                if step.bytes < least.bytes { least = (step.bytes, rows) }
            }
        }
        let noise = rememberedBytes > 0 ? ", with \(Self.readable(rememberedBytes)) for noise that is remembered" : ""
        throw ExecutionError(
            """
            a physical batch of \(least.rows) needs \(Self.readable(least.bytes + rememberedBytes))\(noise), more than the \
            limit of \(Self.readable(memoryLimit)); raise --memory-limit\(noise.isEmpty ? "" : " or take fewer --bands")
            """)
    }

    private static func readable(_ bytes: Int) -> String {
        bytes < 10 << 20 ? "\((bytes + 1023) >> 10) KiB" : "\(bytes >> 20) MiB"
    }

    private init(rows: Int, saving: MemorySaving) {
        self.rows = rows
        self.saving = saving
    }

    /// The bytes of the largest step over batches of `rows`, and whether its logits are computed in blocks.
    private static func step(
        _ rows: Int, _ wishes: MemorySaving, _ model: TrainableModel, _ loss: LossSpecification,
        _ clipping: ClippingOptions, _ data: DataSet, _ pool: ThreadPool
    ) throws -> (bytes: Int, headBlock: VocabularyHead.Block?) {
        let shapes = BatchShapes(data, rows: rows, isFixed: model.sizes.fixedBatchSize != nil)
        let sums = Set(model.trainable.map(PrivateStep.sum))
        var result = (bytes: 0, headBlock: wishes.headBlock)
        for width in Set([shapes.widths.first!, shapes.widths.last!]) {
            let step = try GradientEngine.step(
                model, loss: loss, clipping: clipping, data: data, shape: shapes.largest(width: width), saving: wishes)
            let bytes =
                if let limit = wishes.activationLimit {
                    try Recomputation(step.graph, within: limit, sums: sums, pool: pool).arenaBytes
                } else {
                    try Plan.predictedBytes(step.graph, sums: sums, pool: pool)
                }
            result = (max(result.bytes, bytes), step.saving.headBlock)
        }
        return result
    }
}
