import Execution
import Kernels
import PrivateGradients

/// The gradient of a sample that has more rows than are computed at once.
///
/// Rows of one sample may be added up as they are, without clipping, so their gradients are summed over as many physical
/// batches as they need. Only then is the sample's norm taken, of the very numbers that are clipped.
final class LargeSample {
    /// The sum of the rows' gradients, by parameter.
    private(set) var sums: [String: UnsafeMutableBufferPointer<Float>] = [:]
    private let rowsAtOnce: Int
    private let makePlan: (BatchShape) throws -> StepPlan
    private var plans: [BatchShape: StepPlan] = [:]
    private let shapes: BatchShapes
    private let pool: ThreadPool

    /// - Parameters:
    ///   - shapes: of physical batches of single rows.
    ///   - makePlan: makes the plan of the ordinary gradient's sum over single rows.
    init(
        _ parameters: ParameterMemory, shapes: BatchShapes, pool: ThreadPool,
        makePlan: @escaping (BatchShape) throws -> StepPlan
    ) {
        for name in parameters.names { sums[name] = .allocate(capacity: parameters[name].count) }
        self.shapes = shapes
        rowsAtOnce = shapes.rows
        self.pool = pool
        self.makePlan = makePlan
    }

    deinit { for buffer in sums.values { buffer.deallocate() } }

    /// Sums the gradients of the rows and returns their mean loss, which is not finite if one of theirs is not.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    func add(_ rows: [Int], of data: DataSet?) throws -> Float {
        for buffer in sums.values { buffer.initialize(repeating: 0) }
        var loss = 0.0
        var rest = rows[...]
        while !rest.isEmpty {
            let part = rest.prefix(rowsAtOnce)
            let plan = try plan(shapes.shape(forSamples: part.count, width: 1))
            // There is no norm that C could apply to.
            try plan.feed(part.map { [$0] }, of: data, clippingNorm: .infinity)
            plan.plan.run()
            let losses = plan.plan.outputMemory(PrivateStep.losses)!.bindMemory(to: Float.self)
            for row in 0..<part.count { loss += Double(losses[row]) }
            for (name, buffer) in sums {
                guard let memory = plan.plan.outputMemory(PrivateStep.sum(of: name)) else { continue }
                Elementwise.addScaled(
                    memory.bindMemory(to: Float.self).baseAddress!, to: buffer.baseAddress!, count: buffer.count,
                    pool: pool)
            }
            rest = rest.dropFirst(part.count)
        }
        return Float(loss / Double(rows.count))
    }

    private func plan(_ shape: BatchShape) throws -> StepPlan {
        if let known = plans[shape] { return known }
        let made = try makePlan(shape)
        plans[shape] = made
        return made
    }
}
