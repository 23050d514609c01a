import Glibc

/// A file written under a temporary name and renamed when complete; until then the old file stays as it was.
///
/// Dropping the value without `commit()` removes the temporary file.
final class AtomicFile {
    let path: String
    private let destination: String
    private let temporary: String
    private var descriptor: Int32
    private var isCommitted = false

    /// Creates the temporary file beside `path`, through a symbolic link if `path` is one. `permissions` are subject
    /// to the umask.
    init(path: String, permissions: mode_t) throws(DataError) {
        self.path = path
        let place = DataError.Place(file: path)
        var destination = path
        switch fileKind(path) {
        case .absent: break
        case .folder, .other:
            throw DataError(.cannotCreate, "exists and is not a regular file", at: place)
        case .regular:
            guard let resolved = realpath(path, nil) else {
                throw DataError(.cannotCreate, "cannot be resolved: \(systemMessage(errno))", at: place)
            }
            destination = String(cString: resolved)
            free(resolved)
        }
        let cut = destination.lastIndex(of: "/").map { destination.index(after: $0) } ?? destination.startIndex
        let suffix = String(UInt64.random(in: .min ... .max), radix: 36)
        self.destination = destination
        temporary = "\(destination[..<cut]).\(destination[cut...]).\(suffix).partial"
        descriptor = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, permissions)
        if descriptor < 0 {
            isCommitted = true  // nothing to remove
            throw DataError(.cannotCreate, "cannot be created: \(systemMessage(errno))", at: place)
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if !isCommitted { unlink(temporary) }
    }

    /// Writes all bytes at an offset.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DataError) {
        var done = 0
        while done < bytes.count {
            let written = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset + done))
            if written < 0 {
                if errno == EINTR { continue }
                throw failure("written")
            }
            done += written
        }
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(DataError) {
        // withUnsafeBytes rethrows untyped, so the error travels in a result.
        let outcome = bytes.withUnsafeBytes { buffer in
            Result { () throws(DataError) in try write(buffer, at: offset) }
        }
        try outcome.get()
    }

    /// Makes the contents durable and gives the file its name.
    func commit() throws(DataError) {
        precondition(!isCommitted)
        if fsync(descriptor) != 0 { throw failure("written") }
        let closed = close(descriptor)
        descriptor = -1
        if closed != 0 { throw failure("written") }
        if rename(temporary, destination) != 0 {
            throw DataError(.cannotCreate, "cannot be renamed: \(systemMessage(errno))", at: .init(file: path))
        }
        isCommitted = true
    }

    private func failure(_ action: String) -> DataError {
        DataError(.inputOutput, "cannot be \(action): \(systemMessage(errno))", at: DataError.Place(file: path))
    }
}
