public import TensorGraph

/// The sizes of a run: everything that turns a model's symbols into numbers.
public struct RunSizes: Sendable {
    /// Samples per run.
    public var batchSize: Int
    /// Full shape of every model input, batch included. The graph's own input has the batch first.
    public var inputShapes: [String: [Int]]
    /// The axis of each input on which samples lie; 0 where not given.
    public var batchAxes: [String: Int]
    /// Inputs that hold no samples: the graph's own input has the model's layout, and no batch is followed from it.
    public var batchFreeInputs: Set<String>

    public init(
        batchSize: Int, inputShapes: [String: [Int]], batchAxes: [String: Int] = [:], batchFreeInputs: Set<String> = []
    ) {
        self.batchSize = batchSize
        self.inputShapes = inputShapes
        self.batchAxes = batchAxes
        self.batchFreeInputs = batchFreeInputs
    }

    func batchAxis(of input: String) -> Int { batchAxes[input] ?? 0 }
}

/// A model at concrete sizes: a graph under construction whose values are found by the model's names.
public struct SpecializedModel {
    /// Holds the forward graph; a loss and a backward graph can be appended.
    public var builder: GraphBuilder
    /// Every named tensor of the model that was computed.
    public let values: [String: ValueID]
    /// Outputs in the model's order.
    public let outputs: [(name: String, value: ValueID)]

    public subscript(name: String) -> ValueID? { values[name] }
}
