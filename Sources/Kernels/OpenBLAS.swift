import COpenBLAS
import Glibc

/// What has to be settled once, before the first product.
///
/// OpenBLAS starts a thread team of its own unless told not to; ours partitions instead. It also picks its kernels by the
/// number of the processor's model, and takes its oldest ones, a fifth as fast, for a model newer than itself.
let preparedOpenBLAS: Void = {
    openblas_set_num_threads(1)
    if getenv("OPENBLAS_CORETYPE") != nil { return }
    if coresWithVectors.contains(openBLASCore()) { return }
    switch vectorKernelName() {
    case "avx512": chooseOpenBLASCore("SkylakeX")
    case "avx2": chooseOpenBLASCore("Haswell")
    default: break
    }
}()

/// The x86 cores whose kernels use AVX2 or more.
private let coresWithVectors: Set<String> = [
    "Haswell", "Zen", "Excavator", "SkylakeX", "Cooperlake", "Sapphirerapids", "SapphireRapids",
]

/// Has OpenBLAS pick its kernels again, as if its environment variable had named `core`. A build of OpenBLAS for one core
/// alone has no such choice and stays as it is.
private func chooseOpenBLASCore(_ core: String) {
    typealias Step = @convention(c) () -> Void
    guard let library = dlopen("libopenblas.so.0", RTLD_NOLOAD | RTLD_LAZY) else { return }
    defer { dlclose(library) }
    guard let quit = dlsym(library, "gotoblas_dynamic_quit"), let start = dlsym(library, "gotoblas_dynamic_init") else {
        return
    }
    setenv("OPENBLAS_CORETYPE", core, 1)
    defer { unsetenv("OPENBLAS_CORETYPE") }
    unsafeBitCast(quit, to: Step.self)()
    unsafeBitCast(start, to: Step.self)()
}

func openBLASCore() -> String { openblas_get_corename().map { String(cString: $0) } ?? "unknown" }

/// The version, build options and processor kernels of the OpenBLAS library that was loaded.
public func openBLASConfiguration() -> String {
    _ = preparedOpenBLAS
    let configuration = openblas_get_config().map { String(cString: $0) } ?? "unknown"
    let core = openBLASCore()
    return configuration.contains(core) ? configuration : "\(configuration) \(core)"
}
