import CZlib

/// DEFLATE cannot expand further than this (RFC 1951: 258 bytes from two bits, 1032 to 1); a declared size beyond it
/// is a lie that can be told before anything is allocated.
private let highestExpansion = 1032

/// How compressed bytes are wrapped.
enum DeflateWrapping: Int32 {
    /// Bare DEFLATE, as zip stores it.
    case none = -15
    /// A gzip header and trailer, CRC-checked by zlib.
    case gzip = 31
}

/// Expands all of `source` into exactly `size` bytes.
///
/// Throws when the stream is damaged, when it holds fewer or more bytes than declared, or when compressed bytes are
/// left over behind its end.
func inflateExactly(
    _ source: UnsafeRawBufferPointer, size: Int, wrapping: DeflateWrapping, place: DataError.Place
) throws(DataError) -> ByteRegion {
    guard size / highestExpansion <= source.count else {
        throw DataError(
            .malformed, "declares \(size) bytes, more than \(source.count) compressed bytes can hold", at: place)
    }
    return try ByteRegion.heap(count: size, place: place) { target throws(DataError) in
        let (outcome, produced, left) = inflatePass(source, into: target, wrapping: wrapping)
        guard outcome == .ended else {
            let reason =
                switch outcome {
                case .damaged(let detail): "compressed data are damaged (\(detail))"
                case .full: "compressed data hold more than the \(size) bytes declared"
                case .starved, .ended: "compressed data end after \(produced) of \(size) bytes"
                }
            throw DataError(.malformed, reason, at: place)
        }
        guard produced == size else {
            throw DataError(.malformed, "compressed data hold \(produced) bytes where \(size) are declared", at: place)
        }
        guard left == 0 else {
            throw DataError(.malformed, "has \(left) bytes after the end of its compressed data", at: place)
        }
    }
}

/// Expands at most `size` bytes from the beginning, for headers that tell the true size.
func inflatePrefix(
    _ source: UnsafeRawBufferPointer, size: Int, wrapping: DeflateWrapping, place: DataError.Place
) throws(DataError) -> [UInt8] {
    var prefix = [UInt8](repeating: 0, count: size)
    let (outcome, produced, _) = prefix.withUnsafeMutableBytes { inflatePass(source, into: $0, wrapping: wrapping) }
    if case .damaged(let detail) = outcome {
        throw DataError(.malformed, "compressed data are damaged (\(detail))", at: place)
    }
    return Array(prefix.prefix(produced))
}

private enum InflateOutcome: Equatable {
    case ended
    /// The target is full and the stream has more.
    case full
    /// The source is used up before the stream's end.
    case starved
    case damaged(String)
}

private func inflatePass(
    _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer, wrapping: DeflateWrapping
) -> (outcome: InflateOutcome, produced: Int, left: Int) {
    var stream = z_stream()
    let started = inflateInit2_(&stream, wrapping.rawValue, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard started == Z_OK else { return (.damaged("zlib does not start"), 0, source.count) }
    defer { inflateEnd(&stream) }
    // zlib counts in 32 bits, so large blocks go through in pieces. One byte beyond the target tells a stream that
    // ends exactly there from one that goes on.
    let piece = 1 << 30
    var consumed = 0
    var produced = 0
    var overflow: UInt8 = 0
    while true {
        let available = min(piece, source.count - consumed)
        let room = min(piece, target.count - produced)
        stream.next_in = UnsafeMutablePointer(
            mutating: source.baseAddress.map { ($0 + consumed).assumingMemoryBound(to: UInt8.self) })
        stream.avail_in = UInt32(available)
        let status: Int32
        if room > 0 {
            stream.next_out = (target.baseAddress! + produced).assumingMemoryBound(to: UInt8.self)
            stream.avail_out = UInt32(room)
            status = inflate(&stream, Z_NO_FLUSH)
            produced += room - Int(stream.avail_out)
        } else {
            let extra = withUnsafeMutablePointer(to: &overflow) { byte in
                stream.next_out = byte
                stream.avail_out = 1
                let status = inflate(&stream, Z_NO_FLUSH)
                return (status, stream.avail_out)
            }
            status = extra.0
            if extra.1 == 0 { return (.full, produced, source.count - consumed) }
        }
        let used = available - Int(stream.avail_in)
        consumed += used
        switch status {
        case Z_STREAM_END: return (.ended, produced, source.count - consumed)
        case Z_OK, Z_BUF_ERROR:
            if consumed == source.count && stream.avail_out > 0 { return (.starved, produced, 0) }
        default:
            let detail = stream.msg.map { String(cString: $0) } ?? "zlib status \(status)"
            return (.damaged(detail), produced, source.count - consumed)
        }
    }
}

/// CRC-32 of any number of bytes, continuing from `seed`.
func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32_z(UInt(seed), bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count))
}
