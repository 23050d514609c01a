/// One place where a parameter meets data, with the values that were kept there: the book of Book-Keeping.
///
/// Sample i's gradient G_i at the site is defined by the forward input and the output gradient of the node. A site
/// knows the norm rules of ALGORITHMS for its kind and emits them as nodes; nothing is computed here.
public protocol Site: Sendable {
    /// Shape of one sample's gradient; the shape of the parameter (or of the derived tensor that meets the data).
    var gradientShape: [Int] { get }

    /// What the norm and the contraction cost per sample by each rule.
    var cost: SiteCost { get }

    /// Squared norms ||G_i||^2 from products of kept values, without G_i: [B], float64. Nil if the site has no such rule.
    func ghostNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID?

    /// Squared norms by instantiating G_i one sample at a time and dropping it: [B], float64. Nil if the site always
    /// keeps what it instantiates.
    func discardedNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID?

    /// All G_i: [B] + gradientShape, float32.
    func perSampleGradients(in builder: inout GraphBuilder) throws(GraphError) -> ValueID

    /// sum_i c_i G_i with `factors` c: [B], float32. A sample whose factor is zero is left out, not multiplied.
    func contraction(factors: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID

    /// One site whose G_i is the sum over `self` and `others`, if there is an exact rule for it.
    func merged(with others: [any Site], in builder: inout GraphBuilder) throws(GraphError) -> (any Site)?

    /// The site with every `count` consecutive samples taken as one, whose gradient is the sum of theirs.
    func joiningSamples(_ count: Int, in builder: inout GraphBuilder) throws(GraphError) -> any Site

    /// Per-sample inner products <G_i, G'_i> with a site of the same shape: [B], float64, if there is an exact rule.
    func innerProducts(with other: any Site, in builder: inout GraphBuilder) throws(GraphError) -> ValueID?

    /// The site seen from before an operation that only moves the elements of its parameter, e.g. a transposition of a
    /// weight: G_i of the operation's input. Nil if this kind of site cannot say it without instantiating.
    func pulledBack(through operation: any Operation, inputShape: [Int], in builder: inout GraphBuilder)
        throws(GraphError) -> (any Site)?

    /// Name of the rule for tables: "linear", "convolution", "embedding", "broadcast".
    var ruleName: String { get }
}

/// Multiply-adds and bytes per sample of the ways to a norm.
public struct SiteCost: Hashable, Sendable {
    /// Multiply-adds of the ghost norm; nil if there is none.
    public var ghost: Double?
    /// Multiply-adds of instantiating G_i.
    public var instantiate: Double
    /// Multiply-adds of instantiating G_i to keep it, where that is cheaper than the contraction that it replaces.
    public var keep: Double
    /// Number of elements of G_i.
    public var elements: Double

    /// - Parameter keep: as `instantiate` unless given.
    public init(ghost: Double?, instantiate: Double, keep: Double? = nil, elements: Double) {
        self.ghost = ghost
        self.instantiate = instantiate
        self.keep = keep ?? instantiate
        self.elements = elements
    }
}

extension Site {
    public func ghostNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID? { nil }
    public func discardedNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID? { nil }
    public func merged(with others: [any Site], in builder: inout GraphBuilder) throws(GraphError) -> (any Site)? {
        nil
    }
    public func innerProducts(with other: any Site, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        nil
    }
    public func pulledBack(through operation: any Operation, inputShape: [Int], in builder: inout GraphBuilder)
        throws(GraphError) -> (any Site)?
    { nil }
}
