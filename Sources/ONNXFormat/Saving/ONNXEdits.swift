/// What to change in a copy of a model that is otherwise written as it was read.
public struct ONNXEdits: Sendable {
    /// A new initializer of the main graph with the element type and shape of another tensor.
    public struct Addition: Sendable {
        public let name: String
        /// The initializer, or output of a `Constant` node, whose type, shape and kind of storage are taken over.
        public let like: String
        /// Row-major.
        public let values: TensorValues

        public init(name: String, like: String, values: [Float]) {
            self.init(name: name, like: like, values: TensorValues(values))
        }

        public init(name: String, like: String, values: TensorValues) {
            self.name = name
            self.like = like
            self.values = values
        }
    }

    /// One input of a node of the main graph reads another value.
    public struct Rewiring: Sendable, Hashable {
        /// Position in `ONNXGraph.nodes` of the main graph.
        public let node: Int
        /// One that the node has, or the one behind its last.
        public let input: Int
        /// An initializer of the main graph, or one or a node's output that the same edits add.
        public let name: String

        public init(node: Int, input: Int, name: String) {
            self.node = node
            self.input = input
            self.name = name
        }
    }

    /// Nodes and floating-point initializers that the main graph does not have yet.
    public struct Insertions: Sendable {
        public struct Tensor: Sendable {
            public var name: String
            /// float32, float64, float16 or bfloat16.
            public var type: ONNXElementType
            public var shape: [Int]
            /// Row-major.
            public var values: [Float]

            public init(name: String, type: ONNXElementType, shape: [Int], values: [Float]) {
                self.name = name
                self.type = type
                self.shape = shape
                self.values = values
            }
        }

        /// A node of the standard operator set without attributes, or a copy of the one before it.
        public struct Node: Sendable {
            /// Position of the node of the main graph behind which it stands; several keep their order.
            public var after: Int
            /// Whether it takes operator and attributes from that node.
            public var copies: Bool
            public var operatorType: String
            public var name: String
            public var inputs: [String]
            public var outputs: [String]
            /// Entries of its `metadata_props`.
            public var metadata: [String: String]

            public init(
                after: Int, copies: Bool = false, operatorType: String, name: String, inputs: [String],
                outputs: [String], metadata: [String: String] = [:]
            ) {
                self.after = after
                self.copies = copies
                self.operatorType = operatorType
                self.name = name
                self.inputs = inputs
                self.outputs = outputs
                self.metadata = metadata
            }
        }

        /// An output of a node of the main graph gets another name, so that an inserted node can make what it made.
        public struct Renaming: Sendable, Hashable {
            public var node: Int
            public var output: Int
            public var name: String

            public init(node: Int, output: Int, name: String) {
                self.node = node
                self.output = output
                self.name = name
            }
        }

        public var tensors: [Tensor] = []
        public var nodes: [Node] = []
        public var renamings: [Renaming] = []

        public init() {}
    }

    /// New values, row-major, by the name of an initializer of the main graph or of a `Constant` node's output there.
    /// Each is rounded to nearest (ties to even) into the tensor's own type and written where the old values were.
    public var values: [String: TensorValues]
    public var additions: [Addition]
    public var rewirings: [Rewiring]
    public var insertions = Insertions()
    /// Entries of the model's `metadata_props` to replace by key, or else to append.
    public var metadata: [ONNXMetadataEntry]
    /// Keys whose entries leave the model's `metadata_props`.
    public var removedMetadata: Set<String>

    public init(
        values: [String: [Float]] = [:], additions: [Addition] = [], rewirings: [Rewiring] = [],
        metadata: [ONNXMetadataEntry] = [], removedMetadata: Set<String> = []
    ) {
        self.values = values.mapValues(TensorValues.init)
        self.additions = additions
        self.rewirings = rewirings
        self.metadata = metadata
        self.removedMetadata = removedMetadata
    }
}
