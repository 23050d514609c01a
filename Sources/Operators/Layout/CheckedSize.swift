import TensorGraph

/// Sizes that come out of a model's numbers, before anything is allocated for them.
enum CheckedSize {
    /// Elements that a tensor may have: beyond it a size is a mistake or an attack (1 TiB of floats).
    private static let limit = 1 << 38

    /// - Throws: `invalid` if a dimension is negative or there are too many elements to address.
    static func check(_ shape: [Int]) throws(GraphError) {
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

    /// For tensors that the import itself makes: they are kept in memory with the graph.
    static func checkConstant(_ shape: [Int]) throws(GraphError) {
        try check(shape)
        guard shape.elementCount <= 1 << 28 else {
            throw .unsupported("a constant tensor of shape \(shape) is too large")
        }
    }
}
