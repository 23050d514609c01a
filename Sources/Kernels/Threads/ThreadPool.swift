public final class ThreadPool: Sendable {
    public let threadCount: Int
    public init(threads: Int) { threadCount = 1 }
    public func forEach(_ count: Int, _ body: (_ index: Int, _ worker: Int) -> Void) {
        for index in 0..<count { body(index, 0) }
    }
    public func forRanges(_ count: Int, grain: Int, _ body: (Range<Int>, _ worker: Int) -> Void) {
        if count > 0 { body(0..<count, 0) }
    }
}
