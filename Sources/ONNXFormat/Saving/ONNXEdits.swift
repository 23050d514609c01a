/// What to change in a copy of a model that is otherwise written as it was read.
public struct ONNXEdits: Sendable {
    /// A new initializer of the main graph with the element type and shape of another tensor.
    public struct Addition: Sendable {
        public let name: String
        /// The initializer, or output of a `Constant` node, whose type, shape and kind of storage are taken over.
        public let like: String
        /// Row-major.
        public let values: [Float]

        public init(name: String, like: String, values: [Float]) {
            self.name = name
            self.like = like
            self.values = values
        }
    }

    /// One input of a node of the main graph reads another value.
    public struct Rewiring: Sendable, Hashable {
        /// Position in `ONNXGraph.nodes` of the main graph.
        public let node: Int
        public let input: Int
        /// An initializer of the main graph, or one that the same edits add.
        public let name: String

        public init(node: Int, input: Int, name: String) {
            self.node = node
            self.input = input
            self.name = name
        }
    }

    /// New values, row-major, by the name of an initializer of the main graph or of a `Constant` node's output there.
    /// Each is rounded to nearest (ties to even) into the tensor's own type and written where the old values were.
    public var values: [String: [Float]]
    public var additions: [Addition]
    public var rewirings: [Rewiring]
    /// Entries of the model's `metadata_props` to replace by key, or else to append.
    public var metadata: [ONNXMetadataEntry]
    /// Keys whose entries leave the model's `metadata_props`.
    public var removedMetadata: Set<String>

    public init(
        values: [String: [Float]] = [:], additions: [Addition] = [], rewirings: [Rewiring] = [],
        metadata: [ONNXMetadataEntry] = [], removedMetadata: Set<String> = []
    ) {
        self.values = values
        self.additions = additions
        self.rewirings = rewirings
        self.metadata = metadata
        self.removedMetadata = removedMetadata
    }
}
