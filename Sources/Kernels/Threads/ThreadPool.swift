/// Runs loop bodies; this one on the calling thread only.
public final class ThreadPool: Sendable {
    public let threadCount: Int

    public init(threads: Int) {
        precondition(threads > 0, "a pool needs a thread")
        threadCount = threads
    }

    /// Calls `body` for every index below `count`.
    public func forEach(_ count: Int, _ body: (_ index: Int, _ worker: Int) -> Void) {
        for index in 0..<count { body(index, 0) }
    }

    /// Calls `body` for ranges that cover `0..<count`, each of about `grain` indices or more.
    public func forRanges(_ count: Int, grain: Int, _ body: (_ range: Range<Int>, _ worker: Int) -> Void) {
        if count > 0 { body(0..<count, 0) }
    }
}
