/// Sizes that come out of a model's numbers, before anything is allocated for them.
public enum CheckedSize {
    /// Elements that a tensor may have: beyond it a size is a mistake or an attack (1 TiB of floats).
    private static let limit = 1 << 38
    /// Elements of a tensor that is kept in memory with the graph.
    private static let constantLimit = 1 << 28

    /// - Throws: `invalid` if a dimension is negative or there are too many elements to address.
    public static func check(_ shape: [Int]) throws(GraphError) {
        var count = 1
        for dimension in shape {
            guard dimension >= 0 else { throw .invalid("\(dimension) is no size of an axis, in shape \(shape)") }
            if dimension == 0 { return }
            let product = count.multipliedReportingOverflow(by: dimension)
            guard !product.overflow, product.partialValue <= limit else {
                throw .invalid("a tensor of shape \(shape) is too large")
            }
            count = product.partialValue
        }
    }

    /// For tensors that the import itself makes.
    public static func checkConstant(_ shape: [Int]) throws(GraphError) {
        try check(shape)
        guard fitsConstant(shape) else { throw .unsupported("a constant tensor of shape \(shape) is too large") }
    }

    /// Whether a tensor of a checked shape may be kept with the graph.
    static func fitsConstant(_ shape: [Int]) -> Bool { shape.elementCount <= constantLimit }
}
