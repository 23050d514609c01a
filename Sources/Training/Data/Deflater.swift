import CZlib

/// A running DEFLATE compression (RFC 1951, no wrapper) that hands its output on piece by piece.
final class Deflater {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private var output = [UInt8](repeating: 0, count: 1 << 16)

    init() {
        stream.initialize(to: z_stream())
        let bareWindow = -MAX_WBITS
        let status = deflateInit2_(
            stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, bareWindow, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib does not start")
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Compresses bytes; the last call flushes what is left.
    func deflate(
        _ bytes: UnsafeRawBufferPointer, isLast: Bool, write: (UnsafeRawBufferPointer) throws(DataError) -> Void
    ) throws(DataError) {
        // zlib counts in 32 bits, so large blocks go in in pieces.
        let piece = 1 << 30
        var consumed = 0
        repeat {
            let available = min(piece, bytes.count - consumed)
            stream.pointee.next_in = bytes.baseAddress.map {
                UnsafeMutablePointer(mutating: ($0 + consumed).assumingMemoryBound(to: UInt8.self))
            }
            stream.pointee.avail_in = UInt32(available)
            consumed += available
            let flush = isLast && consumed == bytes.count ? Z_FINISH : Z_NO_FLUSH
            var isFull = true
            while isFull {
                let produced = output.withUnsafeMutableBufferPointer { buffer in
                    stream.pointee.next_out = buffer.baseAddress
                    stream.pointee.avail_out = UInt32(buffer.count)
                    _ = CZlib.deflate(stream, flush)
                    return buffer.count - Int(stream.pointee.avail_out)
                }
                isFull = stream.pointee.avail_out == 0
                let outcome = output.withUnsafeBytes { buffer in
                    Result { () throws(DataError) in
                        try write(UnsafeRawBufferPointer(rebasing: buffer[..<produced]))
                    }
                }
                try outcome.get()
            }
        } while consumed < bytes.count
    }
}
