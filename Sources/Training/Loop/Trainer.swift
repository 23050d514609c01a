public import Execution
public import Kernels
import PrivacyAccounting
public import PrivateGradients
import TensorGraph

/// Trains a model by DP-SGD (Abadi et al. 2016): random samples, clipped per-sample gradients, Gaussian noise.
public final class Trainer {
    /// What happened in one step. Computed without noise, so not covered by epsilon.
    public struct StepReport: Sendable, Hashable {
        /// Counted from 1.
        public var step: Int
        public var learningRate: Double
        /// Samples that the sampler drew.
        public var sampleCount: Int
        /// Mean loss of the samples whose loss is finite; nil if there is none.
        public var loss: Double?
        /// Share of samples whose gradient was scaled down.
        public var clippedShare: Double?
        /// Samples left out because their loss or gradient is not finite.
        public var excludedCount: Int
        /// Of the gradients' norms before clipping; nil without norms.
        public var medianNorm: Double?
        public var largestNorm: Double?
    }

    public let options: TrainingOptions
    public let engine: GradientEngine
    public private(set) var stepCount = 0
    let data: DataSet
    private let pool: ThreadPool
    private var drawing: BatchDrawing
    private let noise: [NoiseBlock]
    /// Nil where the noise of every step is independent.
    private let correlated: BandedNoise?
    private let count: CountRelease?
    private let parameterCount: Int
    /// C of the next step. It follows from what was released, so it is no secret.
    public private(set) var clippingNorm: Double
    private var optimizer: Optimizer
    private var average: WeightAverage?
    private let record: TrainingRecord?
    /// Of the step under way.
    private var samples: [GradientEngine.SampleReport] = []
    /// Nil but in audits.
    var observer: (any StepObserver)?

    /// Bytes that a step is computed in and that are kept from step to step for noise.
    public var peakBytes: Int {
        engine.peakBytes + PhysicalBatch.rememberedBytes(options.mechanism, parameters: parameters)
    }

    /// How the noise of the steps is correlated; nil where it is independent.
    var strategy: BandedStrategy? { correlated?.strategy }

    private var parameters: ParameterMemory { engine.parameters }

    /// - Parameters:
    ///   - physicalBatchSize: rows computed at once; see `PhysicalBatch`.
    ///   - saving: what is computed anew to save memory; see `PhysicalBatch`.
    ///   - generator: source of sampling and noise; private only if it says so. One that was used before, or that a seed
    ///     repeats, must not be used again for steps that are taken again.
    ///   - record: where every step is charged before its noise is drawn; nil to keep no account.
    /// - Throws: what `GradientEngine.init` throws; `DataError` if correlated noise cannot be remembered exactly.
    public init(
        _ model: TrainableModel, loss: LossSpecification, options: TrainingOptions, data: DataSet,
        physicalBatchSize: Int, saving: MemorySaving = MemorySaving(), parameters: ParameterMemory,
        generator: any RandomGenerator, pool: ThreadPool, record: TrainingRecord? = nil
    ) throws {
        engine = try GradientEngine(
            model, loss: loss, clipping: options.clipping, data: data, batchSize: physicalBatchSize,
            saving: saving, parameters: parameters, pool: pool)
        self.options = options
        self.data = data
        self.pool = pool
        self.record = record
        drawing = BatchDrawing(options.mechanism.sampler, generator.stream(0))
        noise = NoiseBlock.all(parameters, generator)
        let sizes = parameters.names.map { parameters[$0].count }
        parameterCount = sizes.reduce(0, +)
        clippingNorm = options.mechanism.clippingNorm
        if let bands = options.mechanism.bands, options.mechanism.noiseMultiplier > 0 {
            correlated = try BandedNoise(
                BandedStrategy(
                    bands: bands, steps: options.mechanism.currentSteps,
                    workload: .init(momentum: options.updateRule.momentum)),
                blocks: noise,
                grid: NoiseGrid(options.mechanism, clippingNorm: clippingNorm, parameterCount: parameterCount))
        } else {
            correlated = nil
        }
        // The streams before are those of the batches and of the gradients' noise.
        count = CountRelease(options.mechanism, generator.stream(UInt64(noise.count) + 1))
        optimizer = Optimizer(
            options.updateRule, weightDecay: options.weightDecay, noiseFloor: options.noiseFloor, parameterSizes: sizes)
        average = options.averageDecay.map { WeightAverage(decay: $0, parameterSizes: sizes) }
    }

    /// One private update: draws a logical batch, sums its clipped gradients, adds noise once, moves the weights.
    ///
    /// An empty batch is still a step, of noise only. The sum is divided by the expected batch size, never by the
    /// realised one, which is private.
    /// - Throws: `DataError` if a row's value does not fit its input's type, or the step cannot be charged; the step is
    ///   then not taken.
    public func step() throws -> StepReport {
        discardBatch()
        let dataRows = observer?.dataRowCount ?? data.sampleCount
        let batch = drawing.next(of: dataRows + (observer?.recordCount ?? 0))
        try accumulate(batch.filter { $0 < dataRows })
        observer?.willRelease(
            engine, records: batch.filter { $0 >= dataRows }.map { $0 - dataRows }, clippingNorm: clippingNorm)
        return try finishStep()
    }

    /// Adds the clipped gradients of rows to the step under way, for callers who draw the batches.
    /// - Parameter data: see `GradientEngine.accumulate`.
    /// - Throws: `DataError` if a row's value does not fit its input's type; the step's batch is then to be discarded.
    public func accumulate(_ rows: [Int], of data: DataSet? = nil) throws {
        samples += try engine.accumulate(rows, of: data)
    }

    /// Forgets what the step under way has accumulated.
    public func discardBatch() {
        engine.reset()
        samples = []
    }

    /// Ends the step under way: charges it, adds noise once to what was accumulated, moves the weights.
    /// - Throws: `DataError` if the step cannot be charged; it is then not taken.
    public func finishStep() throws -> StepReport {
        // Without a row the sums are zero.
        try accumulate([])
        try record?.charge()
        addNoise()
        observer?.didRelease(engine)
        let (scale, deviation) = (1 / options.mechanism.expectedBatchSize, noiseStandardDeviation)
        if let count {
            let exact = count.exactCount(within: clippingNorm, samples) + (observer?.countOfRecords ?? 0)
            let released = count.release(exact)
            observer?.didRelease(count: released, exact: exact)
            clippingNorm = count.nextNorm(after: clippingNorm, released: released)
            engine.clippingNorm = clippingNorm
        }
        let rate = options.schedule.rate(at: stepCount)
        optimizer.step(
            learningRate: rate, parameters: parameters.names.map { parameters[$0] },
            gradients: parameters.names.map { UnsafeBufferPointer(engine.sum(of: $0)) },
            gradientScale: Float(scale), noiseVariance: deviation * deviation * scale * scale, pool: pool)
        average?.update(parameters.names.map { UnsafeBufferPointer(parameters[$0]) })
        stepCount += 1
        defer { discardBatch() }
        return report(samples, learningRate: rate)
    }

    /// The weights to export: the moving average if there is one, else the last ones.
    public func weights() -> [(name: String, values: [Float])] {
        parameters.names.map { ($0, weights(of: $0)) }
    }

    /// The same of one parameter.
    public func weights(of name: String) -> [Float] {
        if let average, average.updateCount > 0 {
            return average.average(of: parameters.names.firstIndex(of: name)!)
        }
        return Array(parameters[name])
    }

    var state: TrainingState {
        TrainingState(
            stepCount: stepCount, optimizerSteps: optimizer.stepCount, averageUpdates: average?.updateCount ?? 0,
            clippingNorm: clippingNorm, noiseVariance: optimizer.meanNoiseVariance,
            values: parameters.names.enumerated().map { index, name in
                let averages = average.map { [$0.averages[index]] } ?? []
                return (name, [Array(parameters[name])] + optimizer.state[index] + averages)
            })
    }

    /// Goes on from a state of the same shape.
    /// - Precondition: no correlated noise was drawn, which no step can take again.
    func restore(_ state: TrainingState) {
        precondition(correlated.map { $0.step == 0 } ?? true, "correlated noise cannot be rolled back")
        stepCount = state.stepCount
        optimizer.stepCount = state.optimizerSteps
        average?.updateCount = state.averageUpdates
        clippingNorm = state.clippingNorm
        if count != nil { engine.clippingNorm = clippingNorm }
        optimizer.meanNoiseVariance = state.noiseVariance
        for (index, (name, buffers)) in state.values.enumerated() {
            _ = parameters[name].update(fromContentsOf: buffers[0])
            let kept = optimizer.state[index].count
            optimizer.state[index] = Array(buffers[1..<1 + kept])
            average?.averages[index] = buffers[1 + kept]
        }
    }

    /// Of this step's noise on summed gradients, per coordinate.
    private var noiseStandardDeviation: Double {
        options.mechanism.noiseStandardDeviation(clippedTo: clippingNorm)
    }

    private func addNoise() {
        guard options.mechanism.noiseMultiplier > 0 else { return }
        let grid = NoiseGrid(options.mechanism, clippingNorm: clippingNorm, parameterCount: parameterCount)
        if let correlated {
            correlated.release(engine, grid: grid, pool: pool)
            return
        }
        pool.forEach(noise.count) { index, _ in
            let block = noise[index]
            grid.release(.init(rebasing: engine.sum(of: block.parameter)[block.range]), block.generator)
        }
    }

    private func report(_ samples: [GradientEngine.SampleReport], learningRate: Double) -> StepReport {
        let losses = samples.map(\.loss).filter(\.isFinite)
        let isClipping = options.clipping.mode != .nonPrivate
        let taken = samples.filter { $0.loss.isFinite && ($0.norm?.isFinite ?? true) }
        let clipped = taken.count { sample in sample.factors.contains { $0 < 1 } }
        let norms = taken.compactMap(\.norm).map(Double.init).sorted()
        return StepReport(
            step: stepCount, learningRate: learningRate, sampleCount: samples.count,
            loss: losses.isEmpty ? nil : losses.reduce(0) { $0 + Double($1) } / Double(losses.count),
            clippedShare: taken.isEmpty || !isClipping ? nil : Double(clipped) / Double(taken.count),
            excludedCount: samples.count - taken.count, medianNorm: norms.isEmpty ? nil : norms[norms.count / 2],
            largestNorm: norms.last)
    }
}

/// A stretch of a parameter whose noise comes from one stream, so that noise is drawn in parallel, large parameters
/// included, and does not depend on the number of threads.
struct NoiseBlock {
    let parameter: String
    let range: Range<Int>
    let generator: any RandomGenerator

    private static let size = 1 << 18

    static func all(_ parameters: ParameterMemory, _ generator: any RandomGenerator) -> [NoiseBlock] {
        let places = parameters.names.flatMap { name in
            stride(from: 0, to: parameters[name].count, by: size).map {
                (name, $0..<min($0 + size, parameters[name].count))
            }
        }
        return places.enumerated().map { index, place in
            // Stream 0 draws the batches.
            NoiseBlock(parameter: place.0, range: place.1, generator: generator.stream(UInt64(index) + 1))
        }
    }
}
