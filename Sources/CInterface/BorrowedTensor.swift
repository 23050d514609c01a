import CDponnx
import DPONNX
import Glibc

extension StoredType {
    init?(_ type: Int32) {
        switch type {
        case Int32(DPONNX_BOOL.rawValue): self = .bool
        case Int32(DPONNX_INT8.rawValue): self = .int8
        case Int32(DPONNX_INT16.rawValue): self = .int16
        case Int32(DPONNX_INT32.rawValue): self = .int32
        case Int32(DPONNX_INT64.rawValue): self = .int64
        case Int32(DPONNX_UINT8.rawValue): self = .uint8
        case Int32(DPONNX_UINT16.rawValue): self = .uint16
        case Int32(DPONNX_UINT32.rawValue): self = .uint32
        case Int32(DPONNX_UINT64.rawValue): self = .uint64
        case Int32(DPONNX_FLOAT16.rawValue): self = .float16
        case Int32(DPONNX_BFLOAT16.rawValue): self = .bfloat16
        case Int32(DPONNX_FLOAT32.rawValue): self = .float32
        case Int32(DPONNX_FLOAT64.rawValue): self = .float64
        default: return nil
        }
    }
}

extension NamedArray {
    /// Copies a borrowed tensor.
    /// - Throws: `DataError` if it contradicts itself or has no samples to count.
    init(copying tensor: dponnx_tensor) throws(DataError) {
        guard let pointer = tensor.name else { throw DataError(.malformed, "a tensor has no name") }
        let name = String(cString: pointer)
        let place = DataError.Place(array: name)
        guard let type = StoredType(tensor.type) else {
            throw DataError(.unsupported, "has the unknown element type \(tensor.type)", at: place)
        }
        guard tensor.rank >= 1, let extents = tensor.shape else {
            throw DataError(.mismatch, "has no axis; its first one must count the samples", at: place)
        }
        let shape = UnsafeBufferPointer(start: extents, count: Int(tensor.rank)).map { Int($0) }
        let strides = tensor.strides.map { UnsafeBufferPointer(start: $0, count: shape.count).map { Int($0) } }
        try self.init(name: name, type: type, shape: shape) { (bytes) throws(DataError) in
            if bytes.isEmpty { return }
            guard let data = tensor.data else { throw DataError(.malformed, "has no memory", at: place) }
            if let strides {
                copyElements(of: shape, strides, type.byteCount, from: data, to: bytes.baseAddress!)
            } else {
                bytes.copyMemory(from: UnsafeRawBufferPointer(start: data, count: bytes.count))
            }
        }
    }
}

/// Copies elements that lie `strides` elements apart to a row-major place without gaps.
private func copyElements(
    of shape: [Int], _ strides: [Int], _ size: Int, from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer
) {
    // Trailing axes without gaps are copied at once.
    var axis = shape.count
    var run = 1
    while axis > 0, shape[axis - 1] == 1 || strides[axis - 1] == run {
        axis -= 1
        run *= shape[axis]
    }
    let outer = shape[..<axis].reduce(1, *)
    var index = [Int](repeating: 0, count: axis)
    var offset = 0
    for position in 0..<outer {
        (target + position * run * size).copyMemory(from: source + offset * size, byteCount: run * size)
        for place in (0..<axis).reversed() {
            index[place] += 1
            offset += strides[place]
            if index[place] < shape[place] { break }
            offset -= shape[place] * strides[place]
            index[place] = 0
        }
    }
}

extension TrainingSession {
    /// The batch that a call's tensors hold.
    func batch(_ tensors: UnsafePointer<dponnx_tensor>?, _ count: Int) throws -> DataSet {
        let first = try required(tensors, "batch")
        return try batch(of: UnsafeBufferPointer(start: first, count: count).map { try NamedArray(copying: $0) })
    }
}
