import CVectorKernels

/// The C kernels in use. The table is constant memory, picked once for the life of the process.
nonisolated(unsafe) let vector: UnsafePointer<vk_table> = vk_active()

/// The instruction set of the vector kernels in use: `generic`, `avx2` or `avx512`. The environment variable
/// `DPONNX_CPU` forces one.
public func vectorKernelName() -> String { String(cString: vector.pointee.name) }

/// Below this many elements a loop is not worth handing to another thread.
let elementGrain = 16_384
