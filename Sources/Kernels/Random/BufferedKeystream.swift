internal import CLibcrypto
internal import CVectorKernels

/// A keystream drawn in blocks, so that single words cost as little as bulk.
final class BufferedKeystream {
    private let keystream: AESCounterKeystream
    private let block: UnsafeMutableRawBufferPointer
    /// How much of `block` has been handed out.
    private var used: Int

    /// - Parameter secret: 32 bytes of key, then 16 of counter.
    init(secret: UnsafeRawBufferPointer) {
        keystream = AESCounterKeystream(
            key: UnsafeRawBufferPointer(rebasing: secret.prefix(AESCounterKeystream.keySize)),
            counter: UnsafeRawBufferPointer(rebasing: secret.dropFirst(AESCounterKeystream.keySize)))
        block = .allocate(byteCount: 8192, alignment: 64)
        used = block.count
    }

    deinit {
        wipe(block)
        block.deallocate()
    }

    func next() -> UInt64 {
        var word: UInt64 = 0
        if block.count - used >= 8 {
            word = block.loadUnaligned(fromByteOffset: used, as: UInt64.self)
            used += 8
        } else {
            withUnsafeMutableBytes(of: &word, fill)
        }
        return UInt64(littleEndian: word)
    }

    /// Requests of any sizes read one and the same stream.
    func fill(_ bytes: UnsafeMutableRawBufferPointer) {
        var rest = bytes[...]
        while !rest.isEmpty {
            if used == block.count {
                let whole = rest.count - rest.count % block.count
                if whole > 0 {
                    keystream.fill(UnsafeMutableRawBufferPointer(rebasing: rest.prefix(whole)))
                    rest = rest.dropFirst(whole)
                    continue
                }
                keystream.fill(block)
                used = 0
            }
            let piece = block[used..<min(block.count, used + rest.count)]
            UnsafeMutableRawBufferPointer(rebasing: rest).copyMemory(from: UnsafeRawBufferPointer(rebasing: piece))
            used += piece.count
            rest = rest.dropFirst(piece.count)
        }
    }
}

/// Overwrites memory in a way that no optimiser removes.
func wipe(_ bytes: UnsafeMutableRawBufferPointer) {
    OPENSSL_cleanse(bytes.baseAddress, bytes.count)
}

/// Fills `bytes` from the kernel's generator, or stops the process.
func fillFromSystem(_ bytes: UnsafeMutableRawBufferPointer) {
    let failure = vk_system_entropy(bytes.baseAddress, bytes.count)
    guard failure == 0 else { fatalError("getrandom gives no entropy (errno \(failure)); no private run is possible") }
}

/// SHA-512 of `message`.
func sha512(_ message: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 64)
    guard EVP_Digest(message, message.count, &digest, nil, EVP_sha512(), nil) == 1 else {
        fatalError("libcrypto refuses SHA-512")
    }
    return digest
}
