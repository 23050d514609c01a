public import Kernels
public import TensorGraph

/// Short names for the operations that expansions and gradient rules emit most.
extension GraphBuilder {
    public mutating func unary(_ function: UnaryFunction, _ value: ValueID) throws(GraphError) -> ValueID {
        try emit(Unary(function), value)
    }

    public mutating func binary(_ function: BinaryFunction, _ left: ValueID, _ right: ValueID) throws(GraphError)
        -> ValueID
    {
        try emitAll(Binary(function), try oneCopyPerSample(broadcasting: [left, right]))[0]
    }

    public mutating func add(_ left: ValueID, _ right: ValueID) throws(GraphError) -> ValueID {
        try binary(.add, left, right)
    }

    public mutating func subtract(_ left: ValueID, _ right: ValueID) throws(GraphError) -> ValueID {
        try binary(.sub, left, right)
    }

    public mutating func multiply(_ left: ValueID, _ right: ValueID) throws(GraphError) -> ValueID {
        try binary(.mul, left, right)
    }

    public mutating func divide(_ left: ValueID, _ right: ValueID) throws(GraphError) -> ValueID {
        try binary(.div, left, right)
    }

    /// A float constant of shape [].
    public mutating func scalar(_ value: Float) -> ValueID { addConstant(Constant([value], shape: [])) }

    /// `left`^T? times `right`^T? over the last two axes, leading axes broadcast.
    public mutating func matmul(
        _ left: ValueID, _ right: ValueID, transposingLeft: Bool = false, transposingRight: Bool = false
    ) throws(GraphError) -> ValueID {
        try emit(MatrixProduct(transposesLeft: transposingLeft, transposesRight: transposingRight), left, right)
    }

    /// Sum over `axes` (ascending, non-negative).
    public mutating func sum(_ value: ValueID, axes: [Int], keepingAxes: Bool = false) throws(GraphError) -> ValueID {
        if axes.isEmpty { return value }
        return try emit(Reduction(.sum, axes: axes, keepsAxes: keepingAxes), value)
    }

    /// Sums a gradient of broadcast shape over the axes along which a tensor of `shape` was broadcast.
    public mutating func sum(_ value: ValueID, toBroadcastable shape: [Int]) throws(GraphError) -> ValueID {
        let full = self.shape(of: value)
        let padded = shape.leftPadded(toRank: full.count)
        let axes = full.indices.filter { padded[$0] == 1 && full[$0] != 1 }
        return try view(try sum(value, axes: axes, keepingAxes: true), shape)
    }
}
