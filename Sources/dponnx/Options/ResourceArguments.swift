import ArgumentParser
import DPONNX
import Glibc

/// Threads and memory.
struct ResourceArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Threads to compute with; default: all processors.", valueName: "n"))
    var threads: Int?

    @Option(help: ArgumentHelp("Rows computed at once; default: as many as fit, 256 at most.", valueName: "n"))
    var physicalBatchSize: Int?

    @Option(
        help: ArgumentHelp(
            """
            Memory for one physical batch, e.g. 800M or 4G; default: half of the machine's. If not even the smallest \
            batch fits, activations are computed anew instead of kept, then the logits of a large vocabulary in \
            blocks, three times instead of once.
            """, valueName: "bytes"))
    var memoryLimit: ByteCount?

    func validate() throws {
        if let threads, !(1...4096).contains(threads) { throw ValidationError("--threads must be 1 to 4096") }
        if let physicalBatchSize, physicalBatchSize < 1 {
            throw ValidationError("--physical-batch-size must be 1 or more")
        }
        if physicalBatchSize != nil, memoryLimit != nil {
            throw ValidationError("give --physical-batch-size or --memory-limit, not both")
        }
    }

    func makePool() -> ThreadPool { ThreadPool(threads: threads ?? ThreadPool.availableProcessors) }

    var memoryBytes: Int {
        memoryLimit?.bytes ?? sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) / 2
    }
}

/// A number of bytes with an optional K, M, G or T (powers of 1024).
struct ByteCount: ExpressibleByArgument {
    let bytes: Int

    init?(argument: String) {
        var digits = argument.uppercased()[...]
        for suffix in ["IB", "B"] where digits.hasSuffix(suffix) {
            digits = digits.dropLast(suffix.count)
            break
        }
        var shift = 0
        if let unit = digits.last, let index = "KMGT".firstIndex(of: unit) {
            shift = 10 * ("KMGT".distance(from: "KMGT".startIndex, to: index) + 1)
            digits = digits.dropLast()
        }
        guard let number = Double(digits), number > 0, number * Double(1 << shift) < 1e15 else { return nil }
        bytes = Int(number * Double(1 << shift))
    }
}
