import Kernels
public import TensorGraph

/// ONNX indices of an axis of `size` entries as rows in 0..<size: `size` is added to negative ones. Backward only.
///
/// An index outside of the axis becomes row 0: what the forward pass read there is NaN, so its sample is left out.
public struct IndexWrapping: BackwardOperation {
    public let size: Int

    public init(size: Int) { self.size = size }

    public var description: String { "wrap indices of \(size)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .int64 else { throw .invalid("\(inputs[0]) holds no indices") }
        return inputs
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (size, count) = (size, inputs[0].count)
        return Kernel { arguments in
            let indices: UnsafePointer<Int64> = arguments.input(0)
            let rows: UnsafeMutablePointer<Int64> = arguments.output(0)
            for k in 0..<count { rows[k] = Int64(wrappedIndex(indices[k], size) ?? 0) }
        }
    }
}

/// The entry that an index means on an axis of `size` entries, negative ones counted from the end; nil if there is none.
@inline(__always)
func wrappedIndex(_ index: Int64, _ size: Int) -> Int? {
    let size = Int64(size)
    guard index >= -size, index < size else { return nil }
    return Int(index < 0 ? index + size : index)
}

/// Refuses constant indices outside of an axis of `size` entries (ONNX: "it is an error if any of the index values are
/// out of bounds").
func checkConstantIndices(_ indices: [Int], size: Int) throws(GraphError) {
    if let index = indices.first(where: { wrappedIndex(Int64($0), size) == nil }) {
        throw .invalid("index \(index) is outside of an axis of \(size) entries")
    }
}
