public import Execution
public import Kernels
public import PrivateGradients
import TensorGraph

/// Computes clipped sums of per-sample gradients over any number of rows, one physical batch after the other.
public final class GradientEngine {
    /// What is known of one sample after a run. None of it is private.
    public struct SampleReport: Sendable {
        public var loss: Float
        public var norm: Float
        /// One per clipping group.
        public var factors: [Float]
    }

    public let step: PrivateStep
    public let plan: Plan
    /// The trainable parameters; a change takes effect with the next run.
    public let parameters: ParameterMemory
    public let batchSize: Int
    private let feeder: BatchFeeder
    /// sum_i c_i G_i of every parameter since the last `reset`.
    private var sums: [String: UnsafeMutableBufferPointer<Float>] = [:]

    /// - Throws: `GraphError` if the model mixes samples, lacks a gradient or a per-sample rule; `ExecutionError` if
    ///   memory is refused.
    public init(
        _ model: TrainableModel, loss: LossSpecification, clipping: ClippingOptions, data: DataSet,
        batchSize: Int, parameters: ParameterMemory, pool: ThreadPool
    ) throws {
        step = try Self.step(model, loss: loss, clipping: clipping, data: data, batchSize: batchSize)
        plan = try Plan(step.graph, parameters: parameters, pool: pool)
        self.parameters = parameters
        self.batchSize = batchSize
        feeder = BatchFeeder(plan, data: data, batchSize: batchSize)
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

    public func reset() { for buffer in sums.values { buffer.update(repeating: 0) } }

    /// Adds the clipped gradients of `rows` to the sums.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func accumulate(_ rows: [Int]) throws -> [SampleReport] {
        var reports: [SampleReport] = []
        reports.reserveCapacity(rows.count)
        for start in stride(from: 0, to: rows.count, by: batchSize) {
            let part = Array(rows[start..<min(start + batchSize, rows.count)])
            try feeder.feed(part, to: plan)
            plan.run()
            addSums()
            reports += self.reports(part.count)
        }
        return reports
    }

    private func addSums() {
        for (name, buffer) in sums {
            guard let memory = plan.outputMemory(PrivateStep.sum(of: name)) else { continue }
            let addend = memory.bindMemory(to: Float.self)
            for index in buffer.indices { buffer[index] += addend[index] }
        }
    }

    private func reports(_ count: Int) -> [SampleReport] {
        func floats(_ name: String) -> UnsafeBufferPointer<Float>? {
            plan.outputMemory(name)?.bindMemory(to: Float.self)
        }
        let losses = floats(PrivateStep.losses)!
        let norms = floats(PrivateStep.norms)
        let factors = step.groups.indices.map { floats(PrivateStep.factors(group: $0))! }
        return (0..<count).map { sample in
            SampleReport(loss: losses[sample], norm: norms?[sample] ?? .nan, factors: factors.map { $0[sample] })
        }
    }
}
