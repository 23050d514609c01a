import Glibc
import Synchronization

/// SIGINT and SIGTERM, kept until the step under way is finished. A second one ends the process at once.
enum Interruption {
    private static let signal = Atomic<Int32>(0)

    /// From now on a signal is only remembered.
    static func watch() {
        signal.store(0, ordering: .relaxed)
        for number in [SIGINT, SIGTERM] {
            var action = sigaction()
            action.__sigaction_handler = .init(sa_handler: { Interruption.signal.store($0, ordering: .relaxed) })
            action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND)) | SA_RESTART
            sigaction(number, &action, nil)
        }
        // Whoever started this process may have left them blocked.
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    /// The signal received since; nil if there was none.
    static var received: Int32? {
        let number = signal.load(ordering: .relaxed)
        return number == 0 ? nil : number
    }
}
