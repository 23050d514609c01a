/// Takes part in a trainer's steps from inside: has records of its own among those that are sampled, and sees each clipped
/// sum before and after its noise.
protocol StepObserver: AnyObject {
    /// Rows of the data that take part, the first ones.
    var dataRowCount: Int { get }
    /// Records sampled beside them.
    var recordCount: Int { get }

    /// The clipped gradients of the batch's rows are summed up. Adds those of the `records` drawn with them.
    /// - Parameter clippingNorm: C of this step.
    func willRelease(_ engine: GradientEngine, records: [Int], clippingNorm: Double)

    /// Noise has been added.
    func didRelease(_ engine: GradientEngine)

    /// What the step's records add to the count from which adaptive clipping takes the next C.
    var countOfRecords: Float { get }

    /// Noise has been added to that count.
    func didRelease(count: Float, exact: Float)
}
