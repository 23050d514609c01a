/// A node at which samples of the batch meet, found while a graph was built.
public struct MixingNode: Hashable, Sendable {
    public let origin: Origin
    public let mixing: BatchMixing
    /// The value in which the samples have met.
    public let value: ValueID
}

extension MixingNode {
    /// The refusal of this node as one clear line.
    public var error: GraphError {
        let place = mixing.axis.map { "on axis \($0): " } ?? ""
        return GraphError(
            .mixesSamples,
            "mixes the samples of a batch \(place)\(mixing.reason), so no per-sample gradient exists; "
                + "change the model so that each sample is computed by itself",
            at: "\(origin)")
    }
}
