public import ONNXFormat
public import TensorGraph

/// A dimension as a model declares it.
public enum Dimension: Hashable, Sendable {
    case fixed(Int)
    case symbol(String)
    case unknown
}

/// An attribute of a model's node, read out of the file.
public enum AttributeValue: Sendable {
    case int(Int)
    case float(Float)
    case string(String)
    case ints([Int])
    case floats([Float])
    case strings([String])
    case tensor(Constant, originalType: ONNXElementType)
    case graph(ImportedGraph)
    /// A kind that no operator here reads; only its presence is known.
    case unread
}

/// The node of the file's main graph that an imported node comes from: itself, or the call of a function it was
/// inlined from.
public struct FileNode: Sendable, Hashable {
    /// Position in the main graph's list of nodes.
    public var position: Int
    /// As the file has it; may be empty.
    public var name: String
    public var metadata: [String: String]
    /// For each input of the imported node, the input of the file's node that it reads; nil where it reads none.
    public var inputs: [Int?]

    public init(position: Int, name: String, metadata: [String: String] = [:], inputs: [Int?]) {
        self.position = position
        self.name = name
        self.metadata = metadata
        self.inputs = inputs
    }
}

/// One node of a model after local functions are inlined. Empty names stand for omitted optional inputs and outputs.
public struct ImportedNode: Sendable {
    public var name: String
    public var domain: String
    public var operatorType: String
    /// Version of the domain's operator set that is in force at this node.
    public var opsetVersion: Int
    public var inputs: [String]
    public var outputs: [String]
    public var attributes: [String: AttributeValue]
    /// `metadata_props` of the node (module scopes written by exporters).
    public var metadata: [String: String]
    /// Where the file has it; nil for nodes inside subgraphs and for those that no file has.
    public var fileNode: FileNode?
    /// Of a `Gather`: a row of the table that gets no gradient from it (PyTorch's `padding_idx`).
    public var paddingRow: Int?

    public init(
        name: String, domain: String = "", operatorType: String, opsetVersion: Int, inputs: [String],
        outputs: [String], attributes: [String: AttributeValue] = [:], metadata: [String: String] = [:],
        fileNode: FileNode? = nil
    ) {
        self.name = name
        self.domain = domain
        self.operatorType = operatorType
        self.opsetVersion = opsetVersion
        self.inputs = inputs
        self.outputs = outputs
        self.attributes = attributes
        self.metadata = metadata
        self.fileNode = fileNode
    }

    public var origin: Origin {
        Origin(operatorType: operatorType, name: name.isEmpty ? (outputs.first ?? "") : name)
    }
}

/// A graph of a model before sizes are known: names instead of values, symbols instead of sizes.
public struct ImportedGraph: Sendable {
    public struct Port: Sendable {
        public var name: String
        public var dataType: ONNXElementType
        /// Nil if the model does not even give the rank.
        public var dimensions: [Dimension]?

        public init(name: String, dataType: ONNXElementType, dimensions: [Dimension]?) {
            self.name = name
            self.dataType = dataType
            self.dimensions = dimensions
        }
    }

    /// A tensor that the file holds: an initializer, or a floating-point `Constant` node of the main graph under the
    /// name of its output.
    public struct Initializer: Sendable {
        public var name: String
        public var dataType: ONNXElementType
        public var shape: [Int]
        /// What the exporter says the tensor was ("PARAMETER", "BUFFER", ...); nil if it says nothing.
        public var exportedKind: String?
        /// Values that the exporter computed the tensor from, if it says so; empty for a tensor stored as it was.
        public var foldedFrom: [String]
        /// Whether the exporter computed the tensor that this one is a copy of: its name says nothing.
        public var isComputed = false
        /// The decoded tensor.
        public var load: @Sendable () throws -> Constant

        public init(
            name: String, dataType: ONNXElementType, shape: [Int], exportedKind: String? = nil,
            foldedFrom: [String] = [], load: @escaping @Sendable () throws -> Constant
        ) {
            self.name = name
            self.dataType = dataType
            self.shape = shape
            self.exportedKind = exportedKind
            self.foldedFrom = foldedFrom
            self.load = load
        }

        /// Whether there is something to train: floating-point numbers, at least one.
        public var isTrainable: Bool { dataType.isTrainable && !shape.contains(0) }
    }

    public var name: String
    /// Inputs that the caller feeds; initializers that are also listed as inputs are not among them.
    public var inputs: [Port]
    public var outputs: [Port]
    public var initializers: [Initializer]
    /// In topological order.
    public var nodes: [ImportedNode]
    /// What is known of the program that wrote the file.
    public var exporter: Exporter

    public init(
        name: String, inputs: [Port], outputs: [Port], initializers: [Initializer], nodes: [ImportedNode],
        exporter: Exporter = Exporter()
    ) {
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.initializers = initializers
        self.nodes = nodes
        self.exporter = exporter
    }
}
