import Execution
import Kernels
import PrivateGradients
import TensorGraph
import TestSupport

/// A private step that is planned and can be run.
struct StepRunner {
    let step: PrivateStep
    private let plan: Plan
    private let sums: SumBuffers
    private let batch: Int
    private let clippingNorm: Double

    /// - Parameter batch: rows, of which `rowsPerSample` form a sample.
    init(
        _ model: PrivateModel, _ options: ClippingOptions, parameters: [String: Constant], batch: Int,
        rowsPerSample: Int = 1, saving: MemorySaving = MemorySaving(), threads: Int = 2
    ) throws {
        let forward = try model.forward(batch: batch)
        step = try PrivateStep(
            forward.builder, loss: forward.loss, options: options, rowsPerSample: rowsPerSample, saving: saving)
        try step.graph.checkWellFormed()
        let memory = ParameterMemory(model.parameters.map { ($0.name, parameters[$0.name]!) })
        sums = SumBuffers(step.graph)
        plan = try Plan(
            step.graph, parameters: memory, sums: sums.buffers, pool: ThreadPool(threads: threads))
        self.batch = batch / rowsPerSample
        clippingNorm = options.clippingNorm
    }

    /// - Parameters:
    ///   - weights: 1 for each sample if nil.
    ///   - shares: the rows' shares in their samples' losses, if a sample has several.
    func run(_ data: [String: Constant], weights: [Float]? = nil, shares: [Float]? = nil) -> StepResult {
        var inputs = data
        inputs[PrivateStep.rowWeights] = shares.map { Constant($0) }
        inputs[PrivateStep.weights] = Constant(weights ?? [Float](repeating: 1, count: batch))
        for (name, value) in inputs {
            plan.inputMemory(name)!.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: value.bytes[..<value.type.byteCount]))
        }
        plan.inputMemory(PrivateStep.clippingNorm)?.bindMemory(to: Double.self)[0] = clippingNorm
        plan.run()
        var sums: [String: [Double]] = [:]
        for (name, _) in step.graph.parameters { sums[name] = plan.output(PrivateStep.sum(of: name))?.doubles }
        return StepResult(
            losses: plan.output(PrivateStep.losses)!.doubles, norms: plan.output(PrivateStep.norms)?.doubles,
            factors: step.groups.indices.map { plan.output(PrivateStep.factors(group: $0))!.doubles }, sums: sums)
    }
}

/// Memory for the sums of a step, which holds no numbers before the first run.
private final class SumBuffers {
    let buffers: [String: UnsafeMutableBufferPointer<Float>]

    init(_ graph: Graph) {
        var buffers: [String: UnsafeMutableBufferPointer<Float>] = [:]
        for (name, value) in graph.parameters where graph.output(named: PrivateStep.sum(of: name)) != nil {
            let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: graph.type(of: value).count)
            buffer.initialize(repeating: .nan)
            buffers[PrivateStep.sum(of: name)] = buffer
        }
        self.buffers = buffers
    }

    deinit { for buffer in buffers.values { buffer.deallocate() } }
}

/// What a run of a private step released and reported.
struct StepResult: Equatable {
    var losses: [Double]
    /// Nil for ordinary gradients.
    var norms: [Double]?
    /// By group, then by sample.
    var factors: [[Double]]
    var sums: [String: [Double]]

    /// The norm of all sums together.
    var sumNorm: Double { norm(sums.values.flatMap { $0 }) }
}
