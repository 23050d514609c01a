import Glibc

/// Immutable bytes that live as long as somebody refers to them, a memory-mapped file or one heap block, or bytes of a
/// caller who keeps them.
///
/// Every access is checked against `count`, in release builds too. A mapped file must not be shortened by another
/// process while it is in use.
final class ByteRegion: @unchecked Sendable {
    // @unchecked: the bytes never change after initialisation, and the release happens once, in deinit.
    private enum Owner { case mapping, heap, caller }

    let base: UnsafeRawPointer
    let count: Int
    private let owner: Owner

    private init(base: UnsafeRawPointer, count: Int, owner: Owner) {
        self.base = base
        self.count = count
        self.owner = owner
    }

    deinit {
        switch owner {
        case .mapping: munmap(UnsafeMutableRawPointer(mutating: base), count)
        case .heap: UnsafeMutableRawPointer(mutating: base).deallocate()
        case .caller: break
        }
    }

    /// Maps a regular file for reading.
    static func map(file path: String) throws(DataError) -> ByteRegion {
        let place = DataError.Place(file: path)
        // Without O_NONBLOCK, opening a FIFO nobody writes to would hang before its type is known.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        if descriptor < 0 {
            throw DataError(openFailure(errno), "cannot be opened: \(systemMessage(errno))", at: place)
        }
        defer { close(descriptor) }
        var status = stat()
        if fstat(descriptor, &status) != 0 {
            throw DataError(.inputOutput, "cannot be examined: \(systemMessage(errno))", at: place)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw DataError(.missingInput, "is not a regular file", at: place)
        }
        let size = Int(status.st_size)
        if size == 0 { throw DataError(.malformed, "is empty", at: place) }
        guard let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
            throw DataError(.inputOutput, "cannot be mapped: \(systemMessage(errno))", at: place)
        }
        return ByteRegion(base: UnsafeRawPointer(address), count: size, owner: .mapping)
    }

    /// Allocates `count` bytes and lets `fill` write all of them.
    static func heap(
        count: Int, place: DataError.Place, fill: (UnsafeMutableRawBufferPointer) throws(DataError) -> Void
    ) throws(DataError) -> ByteRegion {
        precondition(count >= 0)
        if count > physicalMemory {
            throw DataError(
                .unsupported, "needs \(count) bytes of memory, this machine has \(physicalMemory)", at: place)
        }
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 64)
        do {
            try fill(UnsafeMutableRawBufferPointer(rebasing: block[..<count]))
        } catch {
            block.deallocate()
            throw error
        }
        return ByteRegion(base: UnsafeRawPointer(block.baseAddress!), count: count, owner: .heap)
    }

    /// Refers to bytes that the caller keeps, unchanged, for longer than anybody refers to the region.
    static func borrowing(_ bytes: UnsafeRawBufferPointer) -> ByteRegion {
        // An address is needed even where there is nothing to read.
        let base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 64)!
        return ByteRegion(base: base, count: bytes.count, owner: .caller)
    }

    /// Takes the whole pages of a range of a mapped file out of this process's memory.
    func discardPages(_ offset: Int, _ length: Int) {
        precondition(contains(offset, length))
        guard owner == .mapping else { return }
        let page = sysconf(Int32(_SC_PAGESIZE))
        let (start, end) = ((offset + page - 1) / page * page, (offset + length) / page * page)
        if start < end { madvise(UnsafeMutableRawPointer(mutating: base + start), end - start, MADV_DONTNEED) }
    }

    /// Whether `length` bytes starting at `offset` lie inside.
    func contains(_ offset: Int, _ length: Int) -> Bool {
        offset >= 0 && length >= 0 && offset <= count && length <= count - offset
    }

    /// The bytes of a range.
    func bytes(_ offset: Int, _ length: Int) -> UnsafeRawBufferPointer {
        precondition(contains(offset, length))
        return UnsafeRawBufferPointer(start: base + offset, count: length)
    }

    func byte(_ offset: Int) -> UInt8 {
        precondition(contains(offset, 1))
        return base.load(fromByteOffset: offset, as: UInt8.self)
    }

    /// A little-endian integer at any alignment.
    func littleEndian<Value: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as: Value.Type) -> Value {
        precondition(contains(offset, MemoryLayout<Value>.size))
        return Value(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }

    /// A big-endian integer at any alignment.
    func bigEndian<Value: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as: Value.Type) -> Value {
        precondition(contains(offset, MemoryLayout<Value>.size))
        return Value(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}

/// Bytes of memory in this machine: no array loaded into memory may declare more.
let physicalMemory = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))

/// The system's sentence for an `errno` value.
func systemMessage(_ code: Int32) -> String { String(cString: strerror(code)) }

private func openFailure(_ code: Int32) -> DataError.Kind {
    switch code {
    case ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG, ENXIO: .missingInput
    default: .inputOutput
    }
}

/// What stands at a path, symbolic links followed.
enum FileKind { case regular, folder, other, absent }

func fileKind(_ path: String) -> FileKind {
    var status = stat()
    guard stat(path, &status) == 0 else { return .absent }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .regular
    case S_IFDIR: return .folder
    default: return .other
    }
}
