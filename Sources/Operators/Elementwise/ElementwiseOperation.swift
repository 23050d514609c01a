public import TensorGraph

/// An operation whose only output's elements each depend on one element of every input, broadcast to its place.
public protocol ElementwiseOperation: Operation {}

extension ElementwiseOperation {
    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        try builder.collapsedElementwise(node, axis: axis)
    }
}
