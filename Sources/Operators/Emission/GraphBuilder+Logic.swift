public import Kernels
public import ONNXFormat
public import TensorGraph

/// Emitting comparisons, choices and changes of type.
extension GraphBuilder {
    public mutating func compare(_ function: ComparisonFunction, _ left: ValueID, _ right: ValueID) throws(GraphError)
        -> ValueID
    {
        try emit(Comparison(function), left, right)
    }

    public mutating func logical(_ function: LogicalFunction, _ left: ValueID, _ right: ValueID) throws(GraphError)
        -> ValueID
    {
        try emit(Logical(function), left, right)
    }

    /// `condition` ? `left` : `right`
    public mutating func select(_ condition: ValueID, _ left: ValueID, _ right: ValueID) throws(GraphError) -> ValueID {
        try emitAll(Select(), try oneCopyPerSample(broadcasting: [condition, left, right]))[0]
    }

    /// The value as `type` would hold it; nothing is emitted where the stored elements stay as they are.
    public mutating func convert(_ value: ValueID, to type: ONNXElementType) throws(GraphError) -> ValueID {
        try convert(value, by: Convert(to: type))
    }

    mutating func convert(_ value: ValueID, by conversion: Convert) throws(GraphError) -> ValueID {
        if type(of: value).elementType == conversion.target.storage, !conversion.narrows { return value }
        return try emit(conversion, value)
    }
}
