public import TensorGraph

/// Which ONNX operator, from which opset version on.
public struct OperatorIdentity: Hashable, Sendable, CustomStringConvertible {
    /// Empty for the default domain `ai.onnx`.
    public var domain: String
    public var operatorType: String
    public var sinceVersion: Int

    public init(domain: String = "", _ operatorType: String, since sinceVersion: Int) {
        self.domain = domain
        self.operatorType = operatorType
        self.sinceVersion = sinceVersion
    }

    public var description: String { "\(domain.isEmpty ? "" : domain + ".")\(operatorType)-\(sinceVersion)" }
}

/// An ONNX operator: how a node of it is expressed in primitive operations.
///
/// Shape rule, forward, gradient and per-sample rule are those of the operations that `expand` emits. A user's package
/// adds an operator by conforming to this protocol and registering it; if the existing operations do not suffice, it
/// brings its own `ExecutableOperation`.
public protocol OperatorPlugin: Sendable {
    var identity: OperatorIdentity { get }

    /// Inputs whose *numbers* only say sizes, axes or positions. The batch size may appear in them; anywhere else a
    /// number computed from the batch size would make one sample's result depend on the presence of others.
    var structuralInputs: Set<Int> { get }

    /// What training makes of the operator, for the table of operators. By default what is known of the standard operator
    /// of that type, and of others that gradients flow through them.
    var trainingSupport: TrainingSupport { get }

    /// Emits the node's computation and returns its outputs, in the order of the node's outputs. Trailing outputs that
    /// the node does not name may be left out.
    /// - Throws: `GraphError` `invalid` for a node that breaks the operator's rules, `unsupported` for a use that is
    ///   not implemented; the caller adds the place.
    func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID]
}

/// An operator given by a closure: what most of the standard operators are.
public struct StandardOperator: OperatorPlugin {
    public let identity: OperatorIdentity
    public let structuralInputs: Set<Int>
    private let body: @Sendable (inout Expansion) throws(GraphError) -> [ValueID]

    public init(
        _ operatorType: String, since version: Int, domain: String = "", structuralInputs: Set<Int> = [],
        expand: @escaping @Sendable (inout Expansion) throws(GraphError) -> [ValueID]
    ) {
        identity = OperatorIdentity(domain: domain, operatorType, since: version)
        self.structuralInputs = structuralInputs
        body = expand
    }

    public func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] { try body(&node) }
}
