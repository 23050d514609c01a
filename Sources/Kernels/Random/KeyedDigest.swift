internal import CLibcrypto

/// HMAC-SHA-256 of a message (RFC 2104), 32 bytes: who lacks the key can neither compute nor try out what was digested.
public func keyedDigest(of message: UnsafeRawBufferPointer, key: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    var length = 0
    let written = EVP_Q_mac(
        nil, "HMAC", nil, "SHA256", nil, key, key.count, message.baseAddress?.assumingMemoryBound(to: UInt8.self),
        message.count, &digest, digest.count, &length)
    guard written != nil, length == digest.count else { fatalError("libcrypto refuses HMAC-SHA-256") }
    return digest
}
