import Glibc

/// A file that appears under its name only when it is complete.
///
/// It is written beside the final name under a temporary one, which `deinit` removes unless `commit` has renamed it.
final class OutputFile {
    let path: String
    private let temporaryPath: String
    private var descriptor: Int32
    private var isCommitted = false
    private var pending: [UInt8] = []

    init(path: String) throws(ONNXFormatError) {
        self.path = path
        let folder = FilePath.folder(of: path)
        var random = SystemRandomNumberGenerator()
        temporaryPath = "\(folder)/.\(FilePath.name(of: path)).\(String(random.next(), radix: 36)).tmp"
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw ONNXFormatError(.cannotCreate, "cannot create the file: \(systemMessage(errno))", at: path)
        }
        pending.reserveCapacity(Self.bufferSize)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if !isCommitted { unlink(temporaryPath) }
    }

    private static let bufferSize = 1 << 20

    /// Appends bytes.
    func append(_ bytes: UnsafeRawBufferPointer) throws(ONNXFormatError) {
        if bytes.count < Self.bufferSize - pending.count {
            pending.append(contentsOf: bytes)
            return
        }
        try flush()
        try writeAll(bytes) { Glibc.write($0, $1, $2) }
    }

    func append(_ bytes: [UInt8]) throws(ONNXFormatError) {
        try bytes.withUnsafeBytes { bytes in
            Result { () throws(ONNXFormatError) in try append(bytes) }
        }.get()
    }

    /// Replaces bytes that have been appended, or writes beyond them.
    func write(_ bytes: [UInt8], at offset: Int) throws(ONNXFormatError) {
        try flush()
        var position = offset
        try bytes.withUnsafeBytes { bytes in
            Result { () throws(ONNXFormatError) in
                try writeAll(bytes) { descriptor, start, count in
                    let written = pwrite(descriptor, start, count, off_t(position))
                    position += max(written, 0)
                    return written
                }
            }
        }.get()
    }

    /// Brings everything to the disk.
    func finish() throws(ONNXFormatError) {
        try flush()
        guard fsync(descriptor) == 0 else { throw failure(errno) }
        let code = close(descriptor)
        descriptor = -1
        guard code == 0 else { throw failure(errno) }
    }

    /// Gives the finished file its name.
    func commit() throws(ONNXFormatError) {
        precondition(descriptor < 0, "commit() needs finish() first")
        guard rename(temporaryPath, path) == 0 else { throw failure(errno) }
        isCommitted = true
        let folder = open(FilePath.folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    private func flush() throws(ONNXFormatError) {
        guard !pending.isEmpty else { return }
        let bytes = pending
        pending.removeAll(keepingCapacity: true)
        try bytes.withUnsafeBytes { bytes in
            Result { () throws(ONNXFormatError) in try writeAll(bytes) { Glibc.write($0, $1, $2) } }
        }.get()
    }

    private func writeAll(
        _ bytes: UnsafeRawBufferPointer, _ write: (Int32, UnsafeRawPointer, Int) -> Int
    ) throws(ONNXFormatError) {
        var rest = bytes
        while let start = rest.baseAddress, !rest.isEmpty {
            let written = write(descriptor, start, min(rest.count, 1 << 30))
            if written < 0 {
                if errno == EINTR { continue }
                throw failure(errno)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
    }

    private func failure(_ code: Int32) -> ONNXFormatError {
        ONNXFormatError(.writeFailed, "cannot write the file: \(systemMessage(code))", at: path)
    }
}
