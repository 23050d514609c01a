import Glibc

/// A file mapped read-only into memory. Pages come from the system's cache and are never written.
final class FileMapping: Sendable {
    /// Identifies a file whatever its name.
    struct Identity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64

        init(_ status: stat) {
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
        }
    }

    nonisolated(unsafe) let bytes: UnsafeRawBufferPointer  // immutable, and unmapped only by deinit
    let identity: Identity

    /// Maps an open regular file; the descriptor may be closed afterwards.
    init(descriptor: Int32, status: stat, name: String) throws(ONNXFormatError) {
        identity = Identity(status)
        let size = Int(status.st_size)
        guard size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw ONNXFormatError(.unreadable, "cannot map the file: \(systemMessage(errno))", at: name)
        }
        bytes = UnsafeRawBufferPointer(start: start, count: size)
    }

    deinit {
        if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
    }

    /// Takes the pages out of this process's resident memory; they are read again when touched.
    func releasePages() {
        if let start = bytes.baseAddress {
            madvise(UnsafeMutableRawPointer(mutating: start), bytes.count, MADV_DONTNEED)
        }
    }

    /// Takes the pages that `part` fills out of resident memory, if it lies in this mapping.
    func releasePages(of part: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress, let first = part.baseAddress, first >= start,
            first + part.count <= start + bytes.count
        else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let from = (Int(bitPattern: first) + page - 1) / page * page
        let to = Int(bitPattern: first + part.count) / page * page
        if from < to { madvise(UnsafeMutableRawPointer(bitPattern: from), to - from, MADV_DONTNEED) }
    }

    /// Opens and maps a regular file. Symbolic links are followed: the user named this file.
    static func open(_ path: String) throws(ONNXFormatError) -> FileMapping {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let code = errno
            let kind: ONNXFormatError.Kind = code == ENOENT || code == ENOTDIR ? .missing : .unreadable
            throw ONNXFormatError(kind, "cannot open the model: \(systemMessage(code))", at: path)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw ONNXFormatError(.unreadable, "the model is not a regular file", at: path)
        }
        return try FileMapping(descriptor: descriptor, status: status, name: path)
    }
}

/// The system's text for an error number.
func systemMessage(_ code: Int32) -> String { String(cString: strerror(code)) }
