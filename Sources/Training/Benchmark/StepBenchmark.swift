public import Execution
import Glibc
public import Kernels
import PrivacyAccounting
public import PrivateGradients

/// Times private training with one physical batch size on synthetic data.
public final class StepBenchmark {
    public struct Timing: Sendable {
        /// Seconds of each physical batch, with its share of the update.
        public var steps: [Double]
        /// Seconds of the update of one logical batch: noise and the optimizer.
        public var update: Double
        /// Bytes by which the process grew from before the plan was made to its largest.
        public var peakBytes: Int
        /// Resident bytes of the process at its largest.
        public var residentPeakBytes: Int
    }

    public let batchSize: Int
    public let threads: Int
    /// Floating-point operations of one step's gradients, as far as the operations declare them.
    public var operationCount: Double { trainer.engine.operationCount }
    /// Bytes of the plan's arena, of sums, and of weights in training.
    public let predictedPeakBytes: Int
    public var rules: [PrivateStep.Rule] { trainer.engine.step.rules }

    private let trainer: Trainer
    private let rows: [Int]
    private let pool: ThreadPool
    private let residentBefore: Int

    /// - Throws: `GraphError` if the model cannot be trained or its sizes are not known; `ExecutionError` if memory is
    ///   refused.
    public init(
        _ model: TrainableModel, loss: LossSpecification, clipping: ClippingOptions, batchSize: Int, pool: ThreadPool
    ) throws {
        self.batchSize = model.sizes.batchSize(wished: batchSize)
        threads = pool.threadCount
        self.pool = pool
        let data = try SyntheticData.make(for: model, loss: loss, count: self.batchSize)
        rows = Array(0..<data.count)
        // What libraries load and keep for themselves is not the step's: code for matrix products of each kind, their
        // buffers, the cipher's code.
        _ = Self.secondsOfProducts([(false, false), (false, true), (true, false), (true, true)], pool)
        let generator = SecureRandomGenerator()
        _ = generator.next()
        residentBefore = Self.residentBytes("VmRSS")
        let parameters = try model.makeParameters()
        let isPrivate = clipping.mode != .nonPrivate
        // Every row in every step, so that all steps are of one size.
        let mechanism = PrivacyMechanism(
            poissonBatchOf: data.count, clippingNorm: isPrivate ? clipping.clippingNorm : .infinity,
            noiseMultiplier: isPrivate ? 1 : 0, steps: 1, datasetSize: data.count)
        // So small a rate that the timed steps see the initial weights.
        let options = TrainingOptions(
            mechanism: mechanism, clipping: clipping, updateRule: .sgd,
            schedule: LearningRateSchedule(.constant, base: 1e-12, totalSteps: 1))
        trainer = try Trainer(
            model, loss: loss, options: options, data: data, physicalBatchSize: self.batchSize, parameters: parameters,
            generator: generator, pool: pool)
        let floats = parameters.names.reduce(0) { $0 + parameters[$1].count }
        predictedPeakBytes = trainer.engine.peakBytes + 2 * floats * MemoryLayout<Float>.size
    }

    /// Runs a few whole steps, then `steps` whole ones and as many physical batches without their update, in turns.
    ///
    /// Noise is drawn and the weights are moved once per logical batch, so that a physical batch bears a share of both.
    /// - Throws: what a step throws.
    public func measure(steps: Int, logicalBatchSize: Int) throws -> Timing {
        let clock = ContinuousClock()
        for _ in 0..<3 { _ = try trainer.step() }
        var whole: [Double] = []
        var gradients: [Double] = []
        for _ in 0..<steps {
            whole.append(try clock.measure { _ = try trainer.step() } / .seconds(1))
            trainer.engine.reset()
            gradients.append(try clock.measure { _ = try trainer.engine.accumulate(rows) } / .seconds(1))
        }
        let update = max(Self.median(whole) - Self.median(gradients), 0)
        let share = update * Double(batchSize) / Double(max(logicalBatchSize, batchSize))
        let resident = Self.residentBytes("VmHWM")
        return Timing(
            steps: logicalBatchSize > batchSize ? gradients.map { $0 + share } : whole, update: update,
            peakBytes: max(resident - residentBefore, 0), residentPeakBytes: resident)
    }

    private static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }

    /// Floating-point operations per second that a large matrix product reaches on this machine now: what a step could
    /// at best come near to.
    public func measureMatrixProduct() -> Double {
        let seconds = Self.secondsOfProducts(Array(repeating: (false, false), count: 8), pool)
        return 2 * Double(Self.side * Self.side * Self.side) / seconds.min()!
    }

    private static let side = 1024

    /// Seconds of products of two matrices of `side` rows and columns, each transposed or not.
    private static func secondsOfProducts(_ transposes: [(a: Bool, b: Bool)], _ pool: ThreadPool) -> [Double] {
        let values = [Float](repeating: 0.5, count: side * side)
        var product = values
        let clock = ContinuousClock()
        return transposes.map { transpose in
            clock.measure {
                gemm(
                    transposeA: transpose.a, transposeB: transpose.b, m: side, n: side, k: side, a: values, lda: side,
                    b: values, ldb: side, c: &product, ldc: side, pool: pool)
            } / .seconds(1)
        }
    }

    /// What each node of one step took.
    public func profile() throws -> [NodeTiming] { try trainer.engine.profile(rows) }

    /// A line of /proc/self/status, in bytes.
    private static func residentBytes(_ key: String) -> Int {
        guard let file = fopen("/proc/self/status", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = line.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            guard text.hasPrefix(key + ":") else { continue }
            return (Int(text.filter(\.isNumber)) ?? 0) << 10
        }
        return 0
    }
}
