import TensorGraph

/// Visits every element of an index tensor row by row, with the place that its position has in another tensor.
struct ElementWalk {
    let rows: Int
    /// Entries of the last axis.
    let width: Int
    /// Elements between neighbours of the last axis in the other tensor.
    let step: Int
    private let dimensions: [(size: Int, stride: Int)]

    /// - Parameter strides: of the other tensor, one per axis of `shape`; 0 where the position does not matter.
    init(shape: [Int], strides: [Int]) {
        width = shape.last ?? 1
        step = strides.last ?? 0
        dimensions = Array(zip(shape, strides).dropLast().map { (size: $0, stride: $1) })
        rows = dimensions.reduce(1) { $0 * $1.size }
    }

    /// Where row `row` starts in the other tensor.
    func base(_ row: Int) -> Int {
        var rest = row
        var offset = 0
        for dimension in dimensions.reversed() {
            offset += rest % dimension.size * dimension.stride
            rest /= dimension.size
        }
        return offset
    }
}
