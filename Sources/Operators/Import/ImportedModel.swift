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

    public init(
        name: String, domain: String = "", operatorType: String, opsetVersion: Int, inputs: [String],
        outputs: [String], attributes: [String: AttributeValue] = [:], metadata: [String: String] = [:]
    ) {
        self.name = name
        self.domain = domain
        self.operatorType = operatorType
        self.opsetVersion = opsetVersion
        self.inputs = inputs
        self.outputs = outputs
        self.attributes = attributes
        self.metadata = metadata
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

    public struct Initializer: Sendable {
        public var name: String
        public var dataType: ONNXElementType
        public var shape: [Int]
        /// What the exporter says the tensor was ("PARAMETER", "BUFFER", ...); nil if it says nothing.
        public var exportedKind: String?
        /// Decodes the tensor; called once per graph that needs it.
        public var load: @Sendable () throws -> Constant

        public init(
            name: String, dataType: ONNXElementType, shape: [Int], exportedKind: String? = nil,
            load: @escaping @Sendable () throws -> Constant
        ) {
            self.name = name
            self.dataType = dataType
            self.shape = shape
            self.exportedKind = exportedKind
            self.load = load
        }
    }

    public var name: String
    /// Inputs that the caller feeds; initializers that are also listed as inputs are not among them.
    public var inputs: [Port]
    public var outputs: [Port]
    public var initializers: [Initializer]
    /// In topological order.
    public var nodes: [ImportedNode]

    public init(
        name: String, inputs: [Port], outputs: [Port], initializers: [Initializer], nodes: [ImportedNode]
    ) {
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.initializers = initializers
        self.nodes = nodes
    }
}
