/// Whether a model can be trained privately, and if not, what stands in the way.
public struct ModelCheck: Sendable {
    /// What private training needs of an operator, and whether it is there.
    public enum Support: String, Sendable, Hashable {
        case yes
        case no
        /// No gradient flows there, or no parameter meets data there.
        case notNeeded = "not needed"
        /// Something else stood in the way first.
        case unknown
    }

    /// All nodes of one operator type, those in the graphs inside nodes included.
    public struct OperatorRow: Sendable, Hashable {
        public var operatorType: String
        public var count: Int
        public var forward: Support
        public var backward: Support
        public var perSample: Support
    }

    /// One float initializer.
    public struct ParameterRow: Sendable, Hashable {
        public var name: String
        public var shape: [Int]
        public var isTrainable: Bool
        /// Why it counts as a parameter or not.
        public var reason: String
        /// The rule's site kind and way to the norm, and the norm's multiply-adds per sample; nil if it does not train.
        public var site: String?
        public var norm: String?
        public var cost: Double?
    }

    /// Why private training is refused.
    public struct Problem: Sendable, Hashable {
        /// Node and operator, where one node is to blame.
        public var node: String?
        public var operatorType: String?
        /// The module of the exported program that the node belongs to, as a dotted path, if the exporter says.
        public var module: String?
        /// The axis on which samples meet.
        public var axis: Int?
        public var message: String
    }

    public internal(set) var operators: [OperatorRow] = []
    public internal(set) var parameters: [ParameterRow] = []
    /// All nodes in graph order, those of the graphs inside a node in front of it.
    public internal(set) var nodes: [NodeRow] = []
    public internal(set) var problems: [Problem] = []
    /// Nil if it could not be found out.
    public internal(set) var samplesAreIndependent: Bool?
    /// Parameters that the loss does not depend on.
    public internal(set) var unreached: [String] = []
    /// Sizes that were assumed for dimensions nobody gave.
    public internal(set) var assumedSize: Int?

    /// Activations, gradients and scratch memory of one physical batch; nil if the model cannot be trained.
    public internal(set) var memory: Memory?

    /// Memory that grows with the batch, as predicted: `fixedBytes` + B * `bytesPerSample`.
    public struct Memory: Sendable, Hashable {
        public var fixedBytes: Int
        public var bytesPerSample: Int
    }

    public var canTrainPrivately: Bool { problems.isEmpty }
}
