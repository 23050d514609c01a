import Glibc
import Synchronization

/// A fixed team of POSIX threads for data-parallel loops.
///
/// The calling thread takes part as worker 0, so `threadCount` threads compute at a time and a pool of one thread starts
/// no thread at all. Work is handed out by an atomic counter; which worker gets which index is therefore not
/// reproducible, and a kernel that wants reproducible sums must tie its accumulators to the index, not to the worker.
///
/// A loop started from inside a loop of the same pool runs serially on the worker that starts it. Loops started from
/// different outside threads take turns.
public final class ThreadPool: Sendable {
    /// The number of workers, the caller included.
    public let threadCount: Int
    private let team: ThreadTeam
    private let threads: [pthread_t]

    /// Starts `threads - 1` threads, which sleep until there is work.
    public init(threads count: Int) {
        precondition(count > 0, "a thread pool needs at least one thread, not \(count)")
        threadCount = count
        let team = ThreadTeam()
        self.team = team
        threads = (1..<count).map { worker in
            let start = Unmanaged.passRetained(WorkerStart(team: team, worker: worker))
            var thread = pthread_t()
            let status = pthread_create(
                &thread, nil,
                { argument in
                    let start = Unmanaged<WorkerStart>.fromOpaque(argument!).takeRetainedValue()
                    start.team.serve(worker: start.worker)
                    return nil
                }, start.toOpaque())
            precondition(status == 0, "the system refused to start a thread (error \(status))")
            return thread
        }
    }

    deinit {
        team.shutDown()
        for thread in threads { pthread_join(thread, nil) }
    }

    /// The processors of this machine that are switched on.
    public static var availableProcessors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Calls `body` once for each index in `0..<count`, on any worker in `0..<threadCount`, and returns when all are done.
    public func forEach(_ count: Int, _ body: (_ index: Int, _ worker: Int) -> Void) {
        guard count > 0 else { return }
        if let worker = team.currentWorker {
            for index in 0..<count { body(index, worker) }
        } else if threadCount == 1 || count == 1 {
            for index in 0..<count { body(index, 0) }
        } else {
            team.run(count: count, body)
        }
    }

    /// Cuts `0..<count` into ranges of at least `grain` indices (the last may be shorter), about four per worker.
    public func forRanges(_ count: Int, grain: Int, _ body: (_ range: Range<Int>, _ worker: Int) -> Void) {
        precondition(grain > 0, "the grain of a parallel loop must be positive, not \(grain)")
        guard count > 0 else { return }
        let size = threadCount == 1 ? count : max(grain, (count + 4 * threadCount - 1) / (4 * threadCount))
        forEach((count + size - 1) / size) { index, worker in
            body(index * size..<min(count, (index + 1) * size), worker)
        }
    }
}

private final class WorkerStart: Sendable {
    let team: ThreadTeam
    let worker: Int

    init(team: ThreadTeam, worker: Int) {
        self.team = team
        self.worker = worker
    }
}

/// Says which worker of which team a thread is at the moment; kept in thread-specific storage.
private struct WorkerIdentity {
    var team: ObjectIdentifier
    var worker: Int
}

private let identityKey: pthread_key_t = {
    var key = pthread_key_t()
    let status = pthread_key_create(&key, nil)
    precondition(status == 0, "the system has no thread-specific storage left (error \(status))")
    return key
}()

/// The state that the threads share. It outlives the pool object until the last thread has left.
///
/// A loop is open for joining while the high bit of `gate` is clear; the low bits count the threads inside. The caller
/// closes the gate when the indices are used up and waits only for those inside, so a thread that the system wakes late
/// costs the loop nothing: it finds the gate closed and turns back.
private final class ThreadTeam: @unchecked Sendable {
    private static let closed = 1 << 62
    /// Some tens of microseconds, as long as it takes to wake a thread: between the loops of a step there is less.
    private static let spins = 40_000
    private static let yields = 20

    private let generation = Atomic<Int>(0)
    private let gate = Atomic<Int>(ThreadTeam.closed)
    private let next = Atomic<Int>(0)
    private let sleepers = Atomic<Int>(0)
    private let callerSleeps = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)
    private var count = 0
    private var body: ((Int, Int) -> Void)?

    private let turn = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let work = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let done = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(turn, nil)
        pthread_mutex_init(lock, nil)
        pthread_cond_init(work, nil)
        pthread_cond_init(done, nil)
    }

    deinit {
        pthread_cond_destroy(done)
        pthread_cond_destroy(work)
        pthread_mutex_destroy(lock)
        pthread_mutex_destroy(turn)
        done.deallocate()
        work.deallocate()
        lock.deallocate()
        turn.deallocate()
    }

    /// The worker that the calling thread is, if it is inside a loop of this team.
    var currentWorker: Int? {
        guard let raw = pthread_getspecific(identityKey) else { return nil }
        let identity = raw.assumingMemoryBound(to: WorkerIdentity.self).pointee
        return identity.team == ObjectIdentifier(self) ? identity.worker : nil
    }

    func run(count: Int, _ body: (Int, Int) -> Void) {
        pthread_mutex_lock(turn)
        defer { pthread_mutex_unlock(turn) }
        withoutActuallyEscaping(body) { body in
            self.count = count
            self.body = body
            next.store(0, ordering: .relaxed)
            gate.subtract(Self.closed, ordering: .sequentiallyConsistent)
            generation.add(1, ordering: .sequentiallyConsistent)
            if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
                pthread_mutex_lock(lock)
                pthread_cond_broadcast(work)
                pthread_mutex_unlock(lock)
            }
            let outer = pthread_getspecific(identityKey)
            var identity = WorkerIdentity(team: ObjectIdentifier(self), worker: 0)
            withUnsafeMutablePointer(to: &identity) { identity in
                pthread_setspecific(identityKey, identity)
                drain(worker: 0)
                pthread_setspecific(identityKey, outer)
            }
            gate.add(Self.closed, ordering: .sequentiallyConsistent)
            waitUntilEmpty()
            self.body = nil
        }
    }

    /// A worker thread's whole life.
    func serve(worker: Int) {
        var identity = WorkerIdentity(team: ObjectIdentifier(self), worker: worker)
        withUnsafeMutablePointer(to: &identity) { identity in
            pthread_setspecific(identityKey, identity)
            var seen = 0
            while true {
                seen = waitForGeneration(after: seen)
                if stopping.load(ordering: .acquiring) { break }
                if gate.add(1, ordering: .sequentiallyConsistent).oldValue < Self.closed { drain(worker: worker) }
                let left = gate.subtract(1, ordering: .sequentiallyConsistent).newValue
                if left == Self.closed, callerSleeps.load(ordering: .sequentiallyConsistent) {
                    pthread_mutex_lock(lock)
                    pthread_cond_signal(done)
                    pthread_mutex_unlock(lock)
                }
            }
            pthread_setspecific(identityKey, nil)
        }
    }

    func shutDown() {
        stopping.store(true, ordering: .releasing)
        pthread_mutex_lock(lock)
        generation.add(1, ordering: .sequentiallyConsistent)
        pthread_cond_broadcast(work)
        pthread_mutex_unlock(lock)
    }

    // Not inlined: every reference to the body must be given back before the worker leaves the gate.
    @inline(never)
    private func drain(worker: Int) {
        guard let body else { return }
        let count = count
        while true {
            let index = next.add(1, ordering: .relaxed).oldValue
            if index >= count { return }
            body(index, worker)
        }
    }

    private func waitForGeneration(after seen: Int) -> Int {
        for attempt in 0..<(Self.spins + Self.yields) {
            let now = generation.load(ordering: .acquiring)
            if now != seen { return now }
            if attempt >= Self.spins { sched_yield() }
        }
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        sleepers.add(1, ordering: .sequentiallyConsistent)
        defer { sleepers.subtract(1, ordering: .sequentiallyConsistent) }
        while true {
            let now = generation.load(ordering: .sequentiallyConsistent)
            if now != seen { return now }
            pthread_cond_wait(work, lock)
        }
    }

    private func waitUntilEmpty() {
        for attempt in 0..<(Self.spins + Self.yields) {
            if gate.load(ordering: .acquiring) == Self.closed { return }
            if attempt >= Self.spins { sched_yield() }
        }
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        callerSleeps.store(true, ordering: .sequentiallyConsistent)
        defer { callerSleeps.store(false, ordering: .sequentiallyConsistent) }
        while gate.load(ordering: .sequentiallyConsistent) != Self.closed { pthread_cond_wait(done, lock) }
    }
}
