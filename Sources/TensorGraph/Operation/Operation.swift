/// A primitive operation with its attributes resolved: the alphabet of graphs.
///
/// An ONNX operator is expanded into one or a few operations when the sizes of a run are known, so an operation sees
/// concrete shapes only. Two nodes with equal operations and equal inputs are one node, hence `Hashable`. How an
/// operation is computed is said by `ExecutableOperation` in the module `Operators`.
public protocol Operation: Hashable, Sendable, CustomStringConvertible {
    /// The shape rule.
    /// - Throws: `GraphError` of kind `invalid` if the inputs do not fit.
    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType]

    /// Where the batch factor of the inputs lies in each output. Called only when an input has a batch factor and the
    /// batch holds more than one sample.
    /// - Throws: `BatchMixing` if the samples of the batch meet.
    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?]

    /// Emits the gradient of the loss with respect to one input, or returns nil if none flows (integers, comparisons).
    ///
    /// - Parameters:
    ///   - outputGradients: gradient of each output, of the output's type; nil where the output does not reach the loss.
    ///   - builder: emits into the graph that holds `node`.
    func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID?

    /// The per-sample rule: how sample i's gradient with respect to one batch-free input follows from kept values.
    ///
    /// Called for an input that holds a parameter (or something computed from parameters only), at a node whose output
    /// has a batch factor.
    /// - Throws: `GraphError` of kind `unsupported` if no rule exists.
    func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site

    /// Emits the node's first output with the first of its entries on `axis` alone, if all entries along that axis are
    /// known to be equal; nil if they are not. Asked of nodes that no sample reaches.
    func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID?

    /// Input whose memory output 0 may share because it holds the same bytes in the same order.
    var viewedInput: Int? { get }

    /// Inputs whose memory output 0 may overwrite if nobody reads them later and the sizes agree.
    var overwritableInputs: [Int] { get }
}

extension Operation {
    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        throw GraphError.unsupported("\(node.origin.operatorType) has no gradient for input \(index)").at(
            "\(node.origin)")
    }

    public func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        throw GraphError.unsupported(
            "\(node.origin.operatorType) has no per-sample rule for a parameter at input \(index); freeze it with --frozen"
        ).at("\(node.origin)")
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        nil
    }

    public var viewedInput: Int? { nil }
    public var overwritableInputs: [Int] { [] }
}
