import Glibc

/// Zeroed memory mapped once and reused by every run; plans that never run at the same time may share one.
public final class Arena {
    private var mappings: [UnsafeMutableRawBufferPointer] = []

    public init() {}

    /// Memory of `bytes` bytes at least: what is mapped already where that is large enough. It never moves.
    /// - Throws: `ExecutionError` if the system refuses the memory.
    func reserve(_ bytes: Int) throws(ExecutionError) -> UnsafeMutableRawPointer {
        if let mapping = mappings.first(where: { $0.count >= bytes }) { return mapping.baseAddress! }
        let size = max(bytes, BufferLayout.alignment)
        let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else {
            throw ExecutionError("cannot map \(bytes) bytes of memory; choose a smaller --physical-batch-size")
        }
        mappings.append(UnsafeMutableRawBufferPointer(start: memory, count: size))
        return memory
    }

    deinit { for mapping in mappings { munmap(mapping.baseAddress!, mapping.count) } }
}
