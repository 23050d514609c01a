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
    /// Activations of one full physical batch that are computed twice because there is no memory to keep them.
    public var recomputedCount: Int { largest.recomputedCount }
    /// The step for a full physical batch.
    public var step: PrivateStep { largest.step }

    private let largest: StepPlan
    /// Further plans, for samples of fewer rows and what is left over after full batches; made when first needed.
    private var others: [BatchShape: StepPlan] = [:]
    private let makePlan: (BatchShape) throws -> StepPlan
    private let shapes: BatchShapes
    /// For samples that no physical batch holds; nil where the data have none.
    private let large: LargeSample?
    private let data: DataSet
    /// sum_i c_i G_i of every parameter since the last `reset`.
    private let sums: SumMemory
    private var hasSums = false
    private let isClipping: Bool
    private let pool: ThreadPool

    /// - Parameters:
    ///   - batchSize: rows computed at once.
    ///   - saving: what is computed anew to save memory, where the model allows it; see `PhysicalBatch`.
    /// - Throws: `GraphError` if the model mixes samples, lacks a gradient or a per-sample rule; `ExecutionError` if
    ///   memory is refused.
    public init(
        _ model: TrainableModel, loss: LossSpecification, clipping: ClippingOptions, data: DataSet,
        batchSize: Int, saving: MemorySaving = MemorySaving(), parameters: ParameterMemory, pool: ThreadPool
    ) throws {
        let sums = SumMemory(parameters)
        self.sums = sums
        let arena = Arena()
        makePlan = { shape in
            try StepPlan(
                model, loss: loss, clipping: clipping, data: data, shape: shape, saving: saving, parameters: parameters,
                sums: sums.buffers, arena: arena, pool: pool)
        }
        shapes = BatchShapes(data, rows: batchSize, isFixed: model.sizes.fixedBatchSize != nil)
        largest = try makePlan(shapes.largest(width: shapes.widths.last!))
        isClipping = clipping.mode != .nonPrivate
        if let groups = data.groups, groups.largest > batchSize {
            let rows = data.ungrouped
            large = LargeSample(
                parameters, shapes: BatchShapes(rows, rows: batchSize, isFixed: shapes.isFixed), pool: pool
            ) { shape in
                try StepPlan(
                    model, loss: loss, clipping: ClippingOptions(mode: .nonPrivate), data: rows, shape: shape,
                    saving: saving, parameters: parameters, sums: [:], arena: arena, pool: pool)
            }
        } else {
            large = nil
        }
        self.data = data
        self.parameters = parameters
        clippingNorm = clipping.clippingNorm
        self.batchSize = batchSize
        self.pool = pool
    }

    /// The step's graph for a shape of batches, without memory for it.
    static func step(
        _ model: TrainableModel, loss: LossSpecification, clipping: ClippingOptions, data: DataSet, shape: BatchShape,
        saving: MemorySaving
    ) throws -> PrivateStep {
        let targetShape = loss.targetType == nil ? nil : data.targetKey.map { data[$0].rowShape }
        let graph = try loss.append(to: try model.specialized(batchSize: shape.rows), targetShape: targetShape)
        return try PrivateStep(
            graph.builder, loss: graph.loss, options: clipping, rowsPerSample: shape.rowsPerSample, saving: saving)
    }

    /// The sum for one parameter, which noise may be added to in place.
    public func sum(of parameter: String) -> UnsafeMutableBufferPointer<Float> { sums.buffers[parameter]! }

    /// Shape of a parameter.
    public func shape(of parameter: String) -> [Int] {
        step.graph.type(of: step.graph.parameter(named: parameter)!).shape
    }

    /// Starts new sums, which hold nothing until `accumulate` has run.
    public func reset() { hasSums = false }

    /// Adds the clipped gradients of samples to the sums, and tells of them in the same order.
    /// - Parameters:
    ///   - samples: rows of the data, or groups of rows where it has them.
    ///   - other: what they are taken from, with the keys and shapes of samples of the engine's own data set, and groups
    ///     no larger than its; nil for that one.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func accumulate(_ samples: [Int], of other: DataSet? = nil) throws -> [SampleReport] {
        let data = other ?? data
        var found: [(place: Int, report: SampleReport)] = []
        found.reserveCapacity(samples.count)
        let places = Dictionary(grouping: samples.indices) { place in
            shapes.width(rows: data.rows(ofSample: samples[place]).count)
        }
        for place in places[nil] ?? [] {
            found.append((place, try accumulateLarge(data.rows(ofSample: samples[place]), of: other)))
        }
        for case (let width?, let places) in places.sorted(by: { $0.key ?? 0 < $1.key ?? 0 }) {
            var rest = places[...]
            while !rest.isEmpty {
                let plan = try plan(shapes.shape(forSamples: rest.count, width: width))
                let part = rest.prefix(plan.shape.samples)
                try plan.feed(
                    part.map { data.rows(ofSample: samples[$0]) }, of: other, clippingNorm: clippingNorm)
                plan.plan.run(accumulating: hasSums)
                addSums(plan.plan)
                found += zip(part, reports(part.count, plan)).map { ($0, $1) }
                rest = rest.dropFirst(part.count)
            }
        }
        clearUnlessSummed()
        return found.sorted { $0.place < $1.place }.map(\.report)
    }

    /// Adds the clipped gradient of a sample that no physical batch holds.
    private func accumulateLarge(_ rows: [Int], of other: DataSet?) throws -> SampleReport {
        let large = large!
        let loss = try large.add(rows, of: other)
        let count = Double(rows.count)
        var (norm, factors): (Double?, [Float]) = (nil, step.groups.map { _ in 1 })
        if isClipping {
            let squares = large.sums.mapValues { GradientNorm.square(of: $0) / (count * count) }
            let whole = squares.values.reduce(0, +).squareRoot()
            norm = whole
            factors =
                loss.isFinite && whole.isFinite
                ? step.factors(ofGradientWith: squares, clippingNorm: clippingNorm) : factors.map { _ in 0 }
        }
        clearUnlessSummed()
        for (names, factor) in zip(step.groups, factors) where factor != 0 {
            // Rounded down, so that what is added is no longer than C.
            let scale = Float(Double(factor) / count)
            let share = Double(scale) * count > Double(factor) ? scale.nextDown : scale
            for name in names {
                let (gradient, sum) = (large.sums[name]!, sums.buffers[name]!)
                Elementwise.addScaled(
                    gradient.baseAddress!, scale: share, to: sum.baseAddress!, count: sum.count, pool: pool)
            }
        }
        return SampleReport(loss: loss, norm: norm.map { Float($0) }, factors: factors)
    }

    /// What each node takes in one physical batch made of the first of `samples` that fit into one, or of single rows.
    /// The batch runs once before, as the first run pays for memory and libraries too. Sums so far are lost.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func profile(_ samples: [Int]) throws -> [NodeTiming] {
        reset()
        let rows = samples.map { data.rows(ofSample: $0) }
        let fitting = rows.filter { $0.count <= largest.shape.rowsPerSample }
        let part = fitting.isEmpty ? rows.joined().map { [$0] } : fitting
        let batch = Array(part.prefix(largest.shape.samples))
        try largest.feed(batch, clippingNorm: clippingNorm)
        largest.plan.run()
        // A run overwrites inputs that nobody reads any more.
        try largest.feed(batch, clippingNorm: clippingNorm)
        return largest.plan.runProfiled()
    }

    private func plan(_ shape: BatchShape) throws -> StepPlan {
        if shape == largest.shape { return largest }
        if let known = others[shape] { return known }
        let made = try makePlan(shape)
        others[shape] = made
        return made
    }

    private func clearUnlessSummed() {
        guard !hasSums else { return }
        for buffer in sums.buffers.values { buffer.update(repeating: 0) }
        hasSums = true
    }

    private func addSums(_ plan: Plan) {
        for (name, buffer) in sums.buffers where !plan.summedOutputs.contains(PrivateStep.sum(of: name)) {
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

/// Memory for one sum per parameter, at addresses that stay.
private final class SumMemory {
    let buffers: [String: UnsafeMutableBufferPointer<Float>]

    init(_ parameters: ParameterMemory) {
        buffers = Dictionary(
            uniqueKeysWithValues: parameters.names.map { name in
                let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: parameters[name].count)
                buffer.initialize(repeating: 0)
                return (name, buffer)
            })
    }

    deinit { for buffer in buffers.values { buffer.deallocate() } }
}
