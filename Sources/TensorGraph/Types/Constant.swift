import Glibc

/// An immutable tensor owned by the graph. Its memory is freed with the last reference.
public final class Constant: @unchecked Sendable {  // the bytes never change after init
    public let type: TensorType
    public let bytes: UnsafeRawBufferPointer
    /// The constant whose memory this one shares.
    private let owner: Constant?
    /// From this size on memory is mapped, so that it leaves the process when it is freed; malloc would keep it.
    private static let mappedSize = 1 << 20

    /// Allocates the tensor and lets `fill` write its elements; `fill` gets zeroed memory.
    public init(_ type: TensorType, fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        let memory = Self.zeroed(max(type.byteCount, 1))
        do {
            try fill(UnsafeMutableRawBufferPointer(rebasing: memory[..<type.byteCount]))
        } catch {
            Self.free(UnsafeRawBufferPointer(memory))
            throw error
        }
        self.type = type
        bytes = UnsafeRawBufferPointer(memory)
        owner = nil
    }

    /// The same elements under another shape; shares the memory of `other`.
    public init(viewing other: Constant, as type: TensorType) {
        precondition(other.type.byteCount == type.byteCount, "a view keeps the number of elements")
        self.type = type
        bytes = other.bytes
        owner = other
    }

    deinit { if owner == nil { Self.free(bytes) } }

    private static func zeroed(_ count: Int) -> UnsafeMutableRawBufferPointer {
        if count >= mappedSize {
            let start = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            guard let start, start != MAP_FAILED else { fatalError("out of memory for a tensor of \(count) bytes") }
            return UnsafeMutableRawBufferPointer(start: start, count: count)
        }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        return memory
    }

    private static func free(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count >= mappedSize {
            munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count)
        } else {
            bytes.deallocate()
        }
    }

    public convenience init(_ values: [Int64], shape: [Int]? = nil) {
        self.init(TensorType(.int64, shape ?? [values.count]), copying: values)
    }

    public convenience init(_ values: [Float], shape: [Int]? = nil) {
        self.init(TensorType(.float32, shape ?? [values.count]), copying: values)
    }

    public convenience init(_ values: [Bool], shape: [Int]? = nil) {
        self.init(TensorType(.bool, shape ?? [values.count]), copying: values.map { $0 ? 1 : 0 } as [UInt8])
    }

    private convenience init<Element: BitwiseCopyable>(_ type: TensorType, copying values: [Element]) {
        precondition(type.count == values.count, "shape and number of values differ")
        self.init(type) { memory in values.withUnsafeBytes { memory.copyMemory(from: $0) } }
    }

    /// The elements as integers; floats truncate toward zero, bools are 0 and 1.
    public var int64Values: [Int64] {
        switch type.elementType {
        case .int64: elements(Int64.self)
        case .bool: elements(UInt8.self).map { $0 == 0 ? 0 : 1 }
        case .float32: elements(Float.self).map { Int64(exactly: $0.rounded(.towardZero)) ?? 0 }
        case .float64: elements(Double.self).map { Int64(exactly: $0.rounded(.towardZero)) ?? 0 }
        }
    }

    public var intValues: [Int] { int64Values.map(Int.init) }

    /// The elements as floats.
    public var floatValues: [Float] {
        switch type.elementType {
        case .float32: elements(Float.self)
        case .float64: elements(Double.self).map(Float.init)
        case .int64: elements(Int64.self).map(Float.init)
        case .bool: elements(UInt8.self).map { $0 == 0 ? 0 : 1 }
        }
    }

    /// The constant with one entry on `axis`; nil unless all entries along it are equal.
    func collapsed(axis: Int) -> Constant? {
        let outer = type.shape[..<axis].elementCount
        let entries = type.shape[axis]
        let run = type.shape[(axis + 1)...].elementCount * type.elementType.size
        guard entries > 0 else { return nil }
        for index in 0..<outer {
            let start = index * entries * run
            let first = bytes[start..<start + run]
            for entry in 1..<entries where !first.elementsEqual(bytes[start + entry * run..<start + (entry + 1) * run])
            {
                return nil
            }
        }
        var shape = type.shape
        shape[axis] = 1
        return Constant(type.with(shape: shape)) { memory in
            for index in 0..<outer {
                UnsafeMutableRawBufferPointer(rebasing: memory[index * run..<(index + 1) * run]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: bytes[index * entries * run..<index * entries * run + run]))
            }
        }
    }

    /// True if both hold the same elements of the same type.
    public func isIdentical(to other: Constant) -> Bool {
        type == other.type && memcmp(bytes.baseAddress!, other.bytes.baseAddress!, type.byteCount) == 0
    }

    private func elements<Element: BitwiseCopyable>(_: Element.Type) -> [Element] {
        Array(UnsafeRawBufferPointer(rebasing: bytes[..<type.byteCount]).bindMemory(to: Element.self))
    }
}
