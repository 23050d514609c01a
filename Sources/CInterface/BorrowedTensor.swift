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

/// What a caller's tensor says, checked.
private struct TensorDescription {
    let name: String
    let type: StoredType
    let shape: [Int]
    /// In elements; nil for row-major without gaps.
    let strides: [Int]?
    let data: UnsafeRawPointer?

    var place: DataError.Place { DataError.Place(array: name) }

    /// - Throws: `DataError` if the tensor contradicts itself.
    init(_ tensor: dponnx_tensor) throws(DataError) {
        guard let pointer = tensor.name else { throw DataError(.malformed, "a tensor has no name") }
        name = String(cString: pointer)
        let place = DataError.Place(array: name)
        guard let type = StoredType(tensor.type) else {
            throw DataError(.unsupported, "has the unknown element type \(tensor.type)", at: place)
        }
        guard tensor.rank >= 0, tensor.rank == 0 || tensor.shape != nil else {
            throw DataError(.malformed, "has no shape", at: place)
        }
        let shape = UnsafeBufferPointer(start: tensor.shape, count: Int(tensor.rank)).map { Int($0) }
        guard let count = type.elementCount(ofShape: shape) else {
            throw DataError(.malformed, "has the impossible shape \(shape)", at: place)
        }
        guard count == 0 || tensor.data != nil else { throw DataError(.malformed, "has no memory", at: place) }
        self.type = type
        self.shape = shape
        let strides = tensor.strides.map { UnsafeBufferPointer(start: $0, count: shape.count).map { Int($0) } }
        let isDense = strides.map { Self.areDense($0, shape) } ?? true
        self.strides = isDense ? nil : strides
        data = tensor.data
    }

    private static func areDense(_ strides: [Int], _ shape: [Int]) -> Bool {
        if shape.contains(0) { return true }
        var expected = 1
        for (size, stride) in zip(shape, strides).reversed() where size != 1 {
            guard stride == expected else { return false }
            expected *= size
        }
        return true
    }

    /// - Throws: `DataError` if the tensor is larger than the machine's memory.
    func copy() throws(DataError) -> NamedArray {
        try NamedArray(name: name, type: type, shape: shape) { (bytes) throws(DataError) in
            guard let data, !bytes.isEmpty else { return }
            if let strides {
                copyElements(of: shape, strides, type.byteCount, from: data, to: bytes.baseAddress!)
            } else {
                bytes.copyMemory(from: UnsafeRawBufferPointer(start: data, count: bytes.count))
            }
        }
    }

    /// An array in the caller's memory, if its elements lie there row by row.
    func borrowed() throws(DataError) -> NamedArray {
        guard strides == nil else { return try copy() }
        let bytes = UnsafeRawBufferPointer(start: data, count: shape.reduce(1, *) * type.byteCount)
        return try NamedArray(name: name, type: type, shape: shape, borrowing: bytes)
    }
}

extension NamedArray {
    /// Copies a borrowed tensor.
    /// - Throws: `DataError` if it contradicts itself or has no samples to count.
    init(copying tensor: dponnx_tensor) throws(DataError) {
        let description = try TensorDescription(tensor)
        guard !description.shape.isEmpty else {
            throw DataError(.mismatch, "has no axis; its first one must count the samples", at: description.place)
        }
        self = try description.copy()
    }
}

extension WeightFile {
    /// A caller's state_dict, in the caller's memory where that is possible: it must not outlive the call.
    /// - Throws: `DataError` if a tensor contradicts itself or two have one name.
    init(borrowing tensors: UnsafeBufferPointer<dponnx_tensor>) throws(DataError) {
        struct Memory: Hashable {
            var data: UnsafeRawPointer
            var type: StoredType
            var shape: [Int]
            var strides: [Int]?
        }
        var arrays: [NamedArray] = []
        var owners: [Memory: String] = [:]
        var firstNames: [String: String] = [:]
        for tensor in tensors {
            let own = try TensorDescription(tensor)
            arrays.append(try own.borrowed())
            guard let data = own.data, !own.shape.contains(0) else { continue }
            let memory = Memory(data: data, type: own.type, shape: own.shape, strides: own.strides)
            if let first = owners[memory] { firstNames[own.name] = first } else { owners[memory] = own.name }
        }
        try self.init(path: "the reference", arrays: arrays, firstNames: firstNames)
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
    func batch(_ tensors: UnsafePointer<dponnx_tensor>?, _ count: Int, isGrouped: Bool = true) throws -> DataSet {
        let first = try required(tensors, "batch")
        let arrays = try UnsafeBufferPointer(start: first, count: count).map { try NamedArray(copying: $0) }
        return try batch(of: arrays, isGrouped: isGrouped)
    }
}
