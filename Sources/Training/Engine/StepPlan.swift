import Execution
import Kernels
import PrivateGradients

/// The private step compiled for one shape of physical batches.
struct StepPlan {
    let step: PrivateStep
    let plan: Plan
    let feeder: BatchFeeder
    let shape: BatchShape

    /// - Throws: what building the step's graph throws; `ExecutionError` if memory is refused.
    init(
        _ model: TrainableModel, loss: LossSpecification, clipping: ClippingOptions, data: DataSet, shape: BatchShape,
        parameters: ParameterMemory, arena: Arena, pool: ThreadPool
    ) throws {
        step = try GradientEngine.step(model, loss: loss, clipping: clipping, data: data, shape: shape)
        plan = try Plan(step.graph, parameters: parameters, arena: arena, pool: pool)
        feeder = BatchFeeder(plan, data: data, shape: shape)
        self.shape = shape
    }
}
