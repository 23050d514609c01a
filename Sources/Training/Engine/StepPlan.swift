import Execution
import Kernels
import PrivateGradients

/// The private step compiled for one physical batch size.
struct StepPlan {
    let step: PrivateStep
    let plan: Plan
    let feeder: BatchFeeder
    let batchSize: Int

    /// - Throws: what building the step's graph throws; `ExecutionError` if memory is refused.
    init(
        _ model: TrainableModel, loss: LossSpecification, clipping: ClippingOptions, data: DataSet, batchSize: Int,
        parameters: ParameterMemory, arena: Arena, pool: ThreadPool
    ) throws {
        step = try GradientEngine.step(model, loss: loss, clipping: clipping, data: data, batchSize: batchSize)
        plan = try Plan(step.graph, parameters: parameters, arena: arena, pool: pool)
        feeder = BatchFeeder(plan, data: data, batchSize: batchSize)
        self.batchSize = batchSize
    }
}
