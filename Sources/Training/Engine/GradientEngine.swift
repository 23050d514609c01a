public import Execution
public import Kernels
public import PrivateGradients
import TensorGraph

/// Computes clipped sums of per-sample gradients over any number of rows, one physical batch after the other.
public final class GradientEngine {
    /// What is known of one sample after a run. None of it is private.
    public struct SampleReport: Sendable {
        public var loss: Float
        /// Nil where gradients are not clipped.
        public var norm: Float?
        /// One per clipping group.
        public var factors: [Float]
    }

    /// The trainable parameters; a change takes effect with the next run.
    public let parameters: ParameterMemory
    public let batchSize: Int
    /// Bytes of activations, gradients and scratch memory of one physical batch.
    public var peakBytes: Int { largest.plan.peakBytes }
    /// Floating-point operations of one full physical batch, as far as the operations declare them.
    public var operationCount: Double { largest.plan.operationCount }
    /// The step for a full physical batch.
    public var step: PrivateStep { largest.step }

    private let largest: StepPlan
    /// Plans for what is left over after full batches, by size; made when first needed.
    private var smaller: [Int: StepPlan] = [:]
    private let makePlan: (Int) throws -> StepPlan
    private let isFixed: Bool
    /// sum_i c_i G_i of every parameter since the last `reset`.
    private var sums: [String: UnsafeMutableBufferPointer<Float>] = [:]
    private var hasSums = false
    private let pool: ThreadPool

    /// - Throws: `GraphError` if the model mixes samples, lacks a gradient or a per-sample rule; `ExecutionError` if
    ///   memory is refused.
    public init(
        _ model: TrainableModel, loss: LossSpecification, clipping: ClippingOptions, data: DataSet,
        batchSize: Int, parameters: ParameterMemory, pool: ThreadPool
    ) throws {
        let arena = Arena()
        makePlan = { size in
            try StepPlan(
                model, loss: loss, clipping: clipping, data: data, batchSize: size, parameters: parameters,
                arena: arena, pool: pool)
        }
        largest = try makePlan(batchSize)
        isFixed = model.sizes.fixedBatchSize != nil
        self.parameters = parameters
        self.batchSize = batchSize
        self.pool = pool
        for name in parameters.names {
            let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: parameters[name].count)
            buffer.initialize(repeating: 0)
            sums[name] = buffer
        }
    }

    deinit { for buffer in sums.values { buffer.deallocate() } }

    /// The step's graph for a batch size, without memory for it.
    public static func step(
        _ model: TrainableModel, loss: LossSpecification, clipping: ClippingOptions, data: DataSet, batchSize: Int
    ) throws -> PrivateStep {
        let targetShape = loss.targetType == nil ? nil : data.targetKey.map { data[$0].rowShape }
        let graph = try loss.append(to: try model.specialized(batchSize: batchSize), targetShape: targetShape)
        return try PrivateStep(graph.builder, loss: graph.loss, options: clipping)
    }

    /// The sum for one parameter, which noise may be added to in place.
    public func sum(of parameter: String) -> UnsafeMutableBufferPointer<Float> { sums[parameter]! }

    /// Shape of a parameter.
    public func shape(of parameter: String) -> [Int] {
        step.graph.type(of: step.graph.parameter(named: parameter)!).shape
    }

    /// Starts new sums, which hold nothing until `accumulate` has run.
    public func reset() { hasSums = false }

    /// Adds the clipped gradients of `rows` to the sums.
    /// - Parameter data: what the rows are taken from, with the keys and shapes of samples of the engine's own data set;
    ///   nil for that one.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func accumulate(_ rows: [Int], of data: DataSet? = nil) throws -> [SampleReport] {
        var reports: [SampleReport] = []
        reports.reserveCapacity(rows.count)
        var start = 0
        while start < rows.count {
            let plan = try plan(forRows: rows.count - start)
            let part = Array(rows[start..<min(start + plan.batchSize, rows.count)])
            try plan.feeder.feed(part, of: data, to: plan.plan)
            plan.plan.run()
            addSums(plan.plan)
            reports += self.reports(part.count, plan)
            start += part.count
        }
        if !hasSums {
            for buffer in sums.values { buffer.update(repeating: 0) }
            hasSums = true
        }
        return reports
    }

    /// What each node takes in one physical batch made of the first of `rows`.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func profile(_ rows: [Int]) throws -> [NodeTiming] {
        try largest.feeder.feed(Array(rows.prefix(batchSize)), to: largest.plan)
        return largest.plan.runProfiled()
    }

    /// The plan that wastes little on padding: the batch size halved as often as the rows left still fit.
    private func plan(forRows count: Int) throws -> StepPlan {
        var size = batchSize
        while !isFixed, size / 2 >= max(count, 2) { size /= 2 }
        if size == batchSize { return largest }
        if let known = smaller[size] { return known }
        let made = try makePlan(size)
        smaller[size] = made
        return made
    }

    private func addSums(_ plan: Plan) {
        for (name, buffer) in sums {
            guard let memory = plan.outputMemory(PrivateStep.sum(of: name)) else {
                if !hasSums { buffer.update(repeating: 0) }
                continue
            }
            let addend = memory.bindMemory(to: Float.self).baseAddress!
            let sum = buffer.baseAddress!
            if hasSums {
                Elementwise.addScaled(addend, to: sum, count: buffer.count, pool: pool)
            } else {
                pool.forRanges(buffer.count, grain: 65_536) { range, _ in
                    (sum + range.lowerBound).update(from: addend + range.lowerBound, count: range.count)
                }
            }
        }
        hasSums = true
    }

    private func reports(_ count: Int, _ plan: StepPlan) -> [SampleReport] {
        func floats(_ name: String) -> UnsafeBufferPointer<Float>? {
            plan.plan.outputMemory(name)?.bindMemory(to: Float.self)
        }
        let losses = floats(PrivateStep.losses)!
        let norms = floats(PrivateStep.norms)
        let factors = plan.step.groups.indices.map { floats(PrivateStep.factors(group: $0))! }
        return (0..<count).map { sample in
            SampleReport(loss: losses[sample], norm: norms?[sample], factors: factors.map { $0[sample] })
        }
    }
}
