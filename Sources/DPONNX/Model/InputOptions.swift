/// What the user says about a model's inputs and parameters where the file leaves it open.
public struct InputOptions: Sendable {
    /// The axis on which an input's samples lie, where it is not 0.
    public var batchAxes: [String: Int]
    /// Sizes of symbolic dimensions that the data do not give.
    public var dimensions: [String: Int]

    public init(batchAxes: [String: Int] = [:], dimensions: [String: Int] = [:]) {
        self.batchAxes = batchAxes
        self.dimensions = dimensions
    }
}
