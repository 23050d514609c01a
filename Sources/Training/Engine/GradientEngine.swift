public import Execution
public import Kernels
public import PrivateGradients
import TensorGraph

/// Computes clipped sums of per-sample gradients over any number of samples, one physical batch after the other.
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
    /// C, which the next run clips to.
    public var clippingNorm: Double
    /// Rows computed at once.
    public let batchSize: Int
    /// Bytes of activations, gradients and scratch memory of one physical batch.
    public var peakBytes: Int { largest.plan.peakBytes }
    /// Floating-point operations of one full physical batch, as far as the operations declare them.
    public var operationCount: Double { largest.plan.operationCount }
    /// The step for a full physical batch.
    public var step: PrivateStep { largest.step }

    private let largest: StepPlan
    /// Further plans, for samples of fewer rows and what is left over after full batches; made when first needed.
    private var others: [BatchShape: StepPlan] = [:]
    private let makePlan: (BatchShape) throws -> StepPlan
    private let shapes: BatchShapes
    private let data: DataSet
    /// sum_i c_i G_i of every parameter since the last `reset`.
    private var sums: [String: UnsafeMutableBufferPointer<Float>] = [:]
    private var hasSums = false
    private let pool: ThreadPool

    /// - Parameter batchSize: rows computed at once.
    /// - Throws: `GraphError` if the model mixes samples, lacks a gradient or a per-sample rule; `ExecutionError` if
    ///   memory is refused; `DataError` if a sample has more rows than are computed at once.
    public init(
        _ model: TrainableModel, loss: LossSpecification, clipping: ClippingOptions, data: DataSet,
        batchSize: Int, parameters: ParameterMemory, pool: ThreadPool
    ) throws {
        let arena = Arena()
        makePlan = { shape in
            try StepPlan(
                model, loss: loss, clipping: clipping, data: data, shape: shape, parameters: parameters,
                arena: arena, pool: pool)
        }
        shapes = try BatchShapes(data, rows: batchSize, isFixed: model.sizes.fixedBatchSize != nil)
        largest = try makePlan(shapes.largest(width: shapes.widths.last!))
        self.data = data
        self.parameters = parameters
        clippingNorm = clipping.clippingNorm
        self.batchSize = batchSize
        self.pool = pool
        for name in parameters.names {
            let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: parameters[name].count)
            buffer.initialize(repeating: 0)
            sums[name] = buffer
        }
    }

    deinit { for buffer in sums.values { buffer.deallocate() } }

    /// The step's graph for a shape of batches, without memory for it.
    static func step(
        _ model: TrainableModel, loss: LossSpecification, clipping: ClippingOptions, data: DataSet, shape: BatchShape
    ) throws -> PrivateStep {
        let targetShape = loss.targetType == nil ? nil : data.targetKey.map { data[$0].rowShape }
        let graph = try loss.append(to: try model.specialized(batchSize: shape.rows), targetShape: targetShape)
        return try PrivateStep(
            graph.builder, loss: graph.loss, options: clipping, rowsPerSample: shape.rowsPerSample)
    }

    /// The sum for one parameter, which noise may be added to in place.
    public func sum(of parameter: String) -> UnsafeMutableBufferPointer<Float> { sums[parameter]! }

    /// Shape of a parameter.
    public func shape(of parameter: String) -> [Int] {
        step.graph.type(of: step.graph.parameter(named: parameter)!).shape
    }

    /// Starts new sums, which hold nothing until `accumulate` has run.
    public func reset() { hasSums = false }

    /// Adds the clipped gradients of samples to the sums, and tells of them in the same order.
    /// - Parameters:
    ///   - samples: rows of the data, or groups of rows where it has them.
    ///   - other: what they are taken from, with the keys and shapes of samples of the engine's own data set, and without
    ///     larger groups; nil for that one.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func accumulate(_ samples: [Int], of other: DataSet? = nil) throws -> [SampleReport] {
        let data = other ?? data
        var found: [(place: Int, report: SampleReport)] = []
        found.reserveCapacity(samples.count)
        let places = Dictionary(grouping: samples.indices) { place in
            shapes.width(rows: data.rows(ofSample: samples[place]).count)
        }
        for (width, places) in places.sorted(by: { $0.key < $1.key }) {
            var rest = places[...]
            while !rest.isEmpty {
                let plan = try plan(shapes.shape(forSamples: rest.count, width: width))
                let part = rest.prefix(plan.shape.samples)
                try plan.feed(
                    part.map { data.rows(ofSample: samples[$0]) }, of: other, clippingNorm: clippingNorm)
                plan.plan.run()
                addSums(plan.plan)
                found += zip(part, reports(part.count, plan)).map { ($0, $1) }
                rest = rest.dropFirst(part.count)
            }
        }
        if !hasSums {
            for buffer in sums.values { buffer.update(repeating: 0) }
            hasSums = true
        }
        return found.sorted { $0.place < $1.place }.map(\.report)
    }

    /// What each node takes in one physical batch made of the first of `samples`.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func profile(_ samples: [Int]) throws -> [NodeTiming] {
        let part = samples.prefix(largest.shape.samples).map { data.rows(ofSample: $0) }
        try largest.feed(part, clippingNorm: clippingNorm)
        return largest.plan.runProfiled()
    }

    private func plan(_ shape: BatchShape) throws -> StepPlan {
        if shape == largest.shape { return largest }
        if let known = others[shape] { return known }
        let made = try makePlan(shape)
        others[shape] = made
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
