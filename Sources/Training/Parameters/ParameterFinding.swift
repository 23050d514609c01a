/// Whether a tensor of a model is a parameter, and why.
public struct ParameterFinding: Sendable, Hashable {
    /// What a parameter does in its layer.
    public enum Role: String, Sendable, Hashable {
        case weight
        /// A table whose rows data choose.
        case table
        case bias
        case normalizationScale
        case normalizationBias
        case other
    }

    public var name: String
    public var isParameter: Bool
    /// A few words: what the exporter says, or what the tensor is used for.
    public var reason: String
    public var role: Role
}
