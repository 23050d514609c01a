import Glibc

/// The matrix product of oneDNN, where that library is installed: its kernels are made for the sizes at hand, and are the
/// faster ones where a side is narrow or the processor is newer than OpenBLAS. Nothing depends on its being there.
enum OneDNN {
    /// `dnnl_sgemm` of dnnl.h: row-major, `char` flags, sizes of 64 bits; a status other than 0 says that C is untouched.
    private typealias Product =
        @convention(c) (
            CChar, CChar, Int, Int, Int, Float, UnsafePointer<Float>, Int, UnsafePointer<Float>, Int,
            Float, UnsafeMutablePointer<Float>, Int
        ) -> CInt
    /// The OpenMP team that oneDNN would take is a setting of the calling thread; ours partitions instead.
    private typealias ThreadCount = @convention(c) () -> CInt
    private typealias SetThreadCount = @convention(c) (CInt) -> Void

    private struct Functions {
        var product: Product
        var threadCount: ThreadCount
        var setThreadCount: SetThreadCount
    }

    /// Multiply-adds from which finding the kernel costs less than it gains.
    private static let smallest = 1 << 17

    private static let functions: Functions? = {
        switch getenv("DPONNX_PRODUCTS").map({ String(cString: $0) }) ?? "" {
        case "": break
        case "openblas": return nil
        case let asked:
            let line = "dponnx: DPONNX_PRODUCTS=\(asked) names no products; use openblas, or leave it out\n"
            _ = write(STDERR_FILENO, line, line.utf8.count)
            exit(64)
        }
        let names = ["libdnnl.so.3", "libdnnl.so.2"]
        let libraries = names.lazy.compactMap { (name: String) in dlopen(name, RTLD_NOW | RTLD_LOCAL) }
        guard let library = libraries.first else { return nil }
        // A build on another threading library has no OpenMP functions among its dependencies: it is not used.
        guard let product = dlsym(library, "dnnl_sgemm"), let count = dlsym(library, "omp_get_max_threads"),
            let setCount = dlsym(library, "omp_set_num_threads")
        else { return nil }
        return Functions(
            product: unsafeBitCast(product, to: Product.self), threadCount: unsafeBitCast(count, to: ThreadCount.self),
            setThreadCount: unsafeBitCast(setCount, to: SetThreadCount.self))
    }()

    /// C = alpha * op(A) op(B) + beta * C on the calling thread. False, with C untouched, where OpenBLAS is to do it.
    @inline(__always)
    static func multiplies(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Float,
        a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>, ldb: Int,
        beta: Float, c: UnsafeMutablePointer<Float>, ldc: Int
    ) -> Bool {
        if m &* n &* k < smallest { return false }
        guard let functions else { return false }
        let (transposed, plain) = (CChar(UInt8(ascii: "T")), CChar(UInt8(ascii: "N")))
        let threads = functions.threadCount()
        if threads != 1 { functions.setThreadCount(1) }
        defer { if threads != 1 { functions.setThreadCount(threads) } }
        return functions.product(
            transposeA ? transposed : plain, transposeB ? transposed : plain, m, n, k, alpha, a, lda, b, ldb, beta, c,
            ldc
        ) == 0
    }
}
