import Glibc

/// A file that grows while a run lasts and that its owner alone may read. What has been appended is with the kernel, so
/// that it survives the process; it is not made durable.
final class AppendedFile {
    private let path: String
    private let descriptor: Int32

    /// Opens or creates `path`. A last line without its newline is cut off if `lines` says that the file is text.
    /// - Throws: `DataError` if that is not possible, or the file is no regular one.
    init(path: String, lines: Bool = false) throws(DataError) {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw DataError(.cannotCreate, "cannot be opened: \(systemMessage(errno))", at: .init(file: path))
        }
        guard fileKind(path) == .regular else {
            throw DataError(.cannotCreate, "is not a regular file", at: .init(file: path))
        }
        // One that was there already may have been open to others.
        guard fchmod(descriptor, 0o600) == 0 else { throw failure("closed to others") }
        if lines { try cutTornLine() }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func append(_ bytes: [UInt8]) throws(DataError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + done, bytes.count - done) }
            if count < 0, errno == EINTR { continue }
            if count < 0 { throw failure("written to") }
            done += count
        }
    }

    private func cutTornLine() throws(DataError) {
        var end = lseek(descriptor, 0, SEEK_END)
        var byte: UInt8 = 0
        while end > 0, pread(descriptor, &byte, 1, end - 1) == 1, byte != UInt8(ascii: "\n") { end -= 1 }
        guard ftruncate(descriptor, end) == 0 else { throw failure("cut to its last line") }
    }

    private func failure(_ action: String) -> DataError {
        DataError(.inputOutput, "cannot be \(action): \(systemMessage(errno))", at: .init(file: path))
    }
}
