import Glibc

/// Zeroed memory mapped once and reused by every run of a plan.
struct Arena: ~Copyable {
    let base: UnsafeMutableRawPointer
    private let bytes: Int

    /// - Throws: `ExecutionError` if the system refuses the memory.
    init(bytes: Int) throws(ExecutionError) {
        self.bytes = max(bytes, BufferLayout.alignment)
        let memory = mmap(nil, self.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else {
            throw ExecutionError("cannot map \(bytes) bytes of memory; choose a smaller --physical-batch-size")
        }
        base = memory
    }

    deinit { munmap(base, bytes) }
}
