import DPONNX
import Glibc

/// What a `dponnx_session` points to: a session of which one thread at a time makes use.
final class SessionHandle {
    private let session: TrainingSession
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    init(_ session: TrainingSession) {
        self.session = session
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    func withSession(_ body: (TrainingSession) throws -> Void) rethrows {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        try body(session)
    }
}

/// Runs a call's work on a session.
func guarded(_ session: OpaquePointer?, _ body: (TrainingSession) throws -> Void) -> Int32 {
    guarded {
        let handle = try required(session, "session")
        try Unmanaged<SessionHandle>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue().withSession(body)
    }
}

/// - Throws: `UsageError` if an argument that a call needs is NULL.
func required<Pointer>(_ pointer: Pointer?, _ name: String) throws(UsageError) -> Pointer {
    guard let pointer else { throw UsageError("the argument '\(name)' is NULL") }
    return pointer
}
