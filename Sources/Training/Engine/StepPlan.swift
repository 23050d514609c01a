import Execution
import Kernels
import PrivateGradients

/// The private step compiled for one shape of physical batches.
struct StepPlan {
    let step: PrivateStep
    let plan: Plan
    /// Activations that are computed twice because there is no memory to keep them.
    let recomputedCount: Int
    private let feeder: BatchFeeder
    let shape: BatchShape

    /// - Throws: what building the step's graph throws; `ExecutionError` if memory is refused.
    init(
        _ model: TrainableModel, loss: LossSpecification, clipping: ClippingOptions, data: DataSet, shape: BatchShape,
        saving: MemorySaving, parameters: ParameterMemory, sums: [String: UnsafeMutableBufferPointer<Float>],
        arena: Arena, pool: ThreadPool
    ) throws {
        step = try GradientEngine.step(model, loss: loss, clipping: clipping, data: data, shape: shape, saving: saving)
        let outputs = Dictionary(uniqueKeysWithValues: sums.map { (PrivateStep.sum(of: $0.key), $0.value) })
        var graph = step.graph
        if let limit = saving.activationLimit {
            let lean = try Recomputation(graph, within: limit, sums: Set(outputs.keys), pool: pool)
            (graph, recomputedCount) = (lean.graph, lean.copyCount)
        } else {
            recomputedCount = 0
        }
        plan = try Plan(graph, parameters: parameters, sums: outputs, arena: arena, pool: pool)
        feeder = BatchFeeder(plan, data: data, shape: shape)
        self.shape = shape
    }

    /// Writes samples, given by their rows, and the clipping norm.
    /// - Throws: `DataError` if a value does not fit its input's type.
    func feed(_ samples: [[Int]], of other: DataSet? = nil, clippingNorm: Double) throws {
        try feeder.feed(samples, of: other, to: plan)
        plan.inputMemory(PrivateStep.clippingNorm)?.bindMemory(to: Double.self)[0] = clippingNorm
    }
}
