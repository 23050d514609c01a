public import TensorGraph

/// The memory of trainable tensors: float32, one stretch each, at addresses that stay.
public final class ParameterMemory {
    public let names: [String]
    private var buffers: [String: UnsafeMutableBufferPointer<Float>] = [:]

    /// Copies the initial values.
    public convenience init(_ parameters: [(name: String, value: Constant)]) {
        let values = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.value) })
        self.init(parameters.map(\.name)) { values[$0]! }
    }

    /// Copies the initial values, of which no more than one need be in memory at a time.
    /// - Throws: what `load` throws.
    public init(_ names: [String], load: (String) throws -> Constant) rethrows {
        self.names = names
        for name in names {
            let value = try load(name)
            precondition(value.type.elementType == .float32 && buffers[name] == nil)
            let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: value.type.count)
            _ = buffer.initialize(
                fromContentsOf: UnsafeRawBufferPointer(rebasing: value.bytes[..<value.type.byteCount]).bindMemory(
                    to: Float.self))
            buffers[name] = buffer
        }
    }

    deinit { for buffer in buffers.values { buffer.deallocate() } }

    /// The elements of a parameter, row-major.
    public subscript(name: String) -> UnsafeMutableBufferPointer<Float> { buffers[name]! }

    func pointer(of name: String) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(buffers[name]!.baseAddress!) }

    func byteCount(of name: String) -> Int? { buffers[name].map { $0.count * MemoryLayout<Float>.size } }
}
