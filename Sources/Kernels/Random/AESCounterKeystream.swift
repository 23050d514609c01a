internal import CLibcrypto

/// The keystream of AES-256 in counter mode (NIST SP 800-38A, section 6.5).
///
/// The stream does not depend on how it is cut into requests. libcrypto clears the expanded key when the stream goes.
final class AESCounterKeystream {
    static let keySize = 32
    static let counterSize = 16

    private let context: OpaquePointer

    /// - Precondition: `key` has 32 bytes and `counter`, the first counter block, has 16.
    init(key: UnsafeRawBufferPointer, counter: UnsafeRawBufferPointer) {
        precondition(key.count == Self.keySize && counter.count == Self.counterSize, "an AES-256 key and a block")
        guard let context = EVP_CIPHER_CTX_new() else { fatalError("libcrypto has no memory for a cipher") }
        self.context = context
        guard
            EVP_EncryptInit_ex(
                context, EVP_aes_256_ctr(), nil, key.baseAddress?.assumingMemoryBound(to: UInt8.self),
                counter.baseAddress?.assumingMemoryBound(to: UInt8.self)) == 1
        else { fatalError("libcrypto refuses AES-256 in counter mode; there is no other source of random bits") }
    }

    deinit {
        EVP_CIPHER_CTX_free(context)
    }

    /// Overwrites `bytes` with the next bytes of the stream.
    func fill(_ bytes: UnsafeMutableRawBufferPointer) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeMutableRawBufferPointer(rebasing: rest.prefix(Self.largestRequest))
            // Encrypting zeros in place leaves the keystream itself.
            piece.initializeMemory(as: UInt8.self, repeating: 0)
            let start = piece.baseAddress?.assumingMemoryBound(to: UInt8.self)
            var written: Int32 = 0
            guard
                EVP_EncryptUpdate(context, start, &written, start, Int32(piece.count)) == 1,
                Int(written) == piece.count
            else { fatalError("libcrypto failed to make random bits; nothing drawn so far may be used") }
            rest = rest.dropFirst(piece.count)
        }
    }

    private static let largestRequest = 1 << 16
}
