import Kernels
import Synchronization
import Testing

@Suite struct ThreadPoolTests {
    @Test(arguments: [1, 2, 3, 7]) func visitsEveryIndexOnce(threads: Int) {
        let pool = ThreadPool(threads: threads)
        for count in [0, 1, 2, 5, 1000] {
            var visits = [Int](repeating: 0, count: count)
            var workers = [Int](repeating: -1, count: count)
            visits.withUnsafeMutableBufferPointer { visits in
                workers.withUnsafeMutableBufferPointer { workers in
                    let visits = visits.baseAddress
                    let workers = workers.baseAddress
                    pool.forEach(count) { index, worker in
                        visits![index] += 1
                        workers![index] = worker
                    }
                }
            }
            #expect(visits.allSatisfy { $0 == 1 })
            #expect(workers.allSatisfy { (0..<threads).contains($0) })
        }
    }

    @Test func rangesCoverWithoutOverlapAndRespectGrain() {
        for pool in pools {
            for (count, grain) in [(1, 1), (10, 100), (1000, 7), (1001, 64)] {
                let total = Atomic(0)
                let short = Atomic(0)
                pool.forRanges(count, grain: grain) { range, _ in
                    total.add(range.reduce(0, +), ordering: .relaxed)
                    if range.count < grain { short.add(1, ordering: .relaxed) }
                }
                #expect(total.load(ordering: .relaxed) == count * (count - 1) / 2)
                #expect(short.load(ordering: .relaxed) <= 1)
            }
        }
    }

    @Test func nestedLoopStaysOnItsWorker() {
        let pool = ThreadPool(threads: 3)
        let strangers = Atomic(0)
        let visits = Atomic(0)
        pool.forEach(20) { _, outer in
            pool.forEach(10) { _, inner in
                visits.add(1, ordering: .relaxed)
                if inner != outer { strangers.add(1, ordering: .relaxed) }
            }
        }
        #expect(visits.load(ordering: .relaxed) == 200)
        #expect(strangers.load(ordering: .relaxed) == 0)
    }

    @Test func manyShortLoopsAndPoolsEnd() {
        for round in 0..<20 {
            let pool = ThreadPool(threads: 1 + round % 4)
            let sum = Atomic(0)
            for _ in 0..<300 { pool.forEach(4) { index, _ in sum.add(index, ordering: .relaxed) } }
            #expect(sum.load(ordering: .relaxed) == 1800)
        }
    }

    @Test func outsideCallersTakeTurns() async {
        let pool = ThreadPool(threads: 2)
        let sums = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let sum = Atomic(0)
                    for _ in 0..<100 { pool.forEach(10) { index, _ in sum.add(index, ordering: .relaxed) } }
                    return sum.load(ordering: .relaxed)
                }
            }
            return await group.reduce(into: [Int]()) { $0.append($1) }
        }
        #expect(sums == [4500, 4500, 4500, 4500])
    }
}
