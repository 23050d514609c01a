/// A stream of uniform random bits, from which every random decision of a run is drawn.
///
/// A generator belongs to one thread at a time; threads that draw at once use ``stream(_:)``.
public protocol RandomGenerator: AnyObject {
    /// Whether nobody can predict or repeat the bits. Without it no privacy guarantee holds.
    var isPrivate: Bool { get }

    /// Overwrites `bytes` with random bits.
    func fill(_ bytes: UnsafeMutableRawBufferPointer)

    /// The next 64 random bits.
    func next() -> UInt64

    /// A generator whose bits are independent of this one's and of those of any other `index`.
    ///
    /// A seeded generator gives the same stream for the same index, however much has been drawn from it.
    func stream(_ index: UInt64) -> any RandomGenerator
}

/// The generator for private training: AES-256 in counter mode under a key that only the kernel has known.
///
/// Key and counter come from getrandom(2), never from a user; the process stops if the kernel gives none. Key and
/// unused bits are overwritten when the generator goes. A forked process must not go on using its parent's.
public final class SecureRandomGenerator: RandomGenerator {
    private let bits: BufferedKeystream

    public init() {
        bits = withUnsafeTemporaryAllocation(
            byteCount: AESCounterKeystream.keySize + AESCounterKeystream.counterSize, alignment: 16
        ) { secret in
            fillFromSystem(secret)
            defer { wipe(secret) }
            return BufferedKeystream(secret: UnsafeRawBufferPointer(secret))
        }
    }

    public var isPrivate: Bool { true }

    public func fill(_ bytes: UnsafeMutableRawBufferPointer) { bits.fill(bytes) }

    public func next() -> UInt64 { bits.next() }

    /// A generator with a key of its own, whatever `index` is.
    public func stream(_ index: UInt64) -> any RandomGenerator { SecureRandomGenerator() }
}

/// A generator that repeats itself, for tests: what is drawn from it is NOT PRIVATE.
///
/// AES-256 in counter mode under a key hashed (SHA-512) from the seed and the indices of the streams taken.
public final class SeededRandomGenerator: RandomGenerator {
    private let path: [UInt64]
    private let bits: BufferedKeystream

    public convenience init(seed: UInt64) {
        self.init(path: [seed])
    }

    private init(path: [UInt64]) {
        self.path = path
        let message = path.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
        let digest = sha512(message)
        bits = digest.withUnsafeBytes { digest in
            BufferedKeystream(
                secret: UnsafeRawBufferPointer(
                    rebasing: digest.prefix(AESCounterKeystream.keySize + AESCounterKeystream.counterSize)))
        }
    }

    public var isPrivate: Bool { false }

    public func fill(_ bytes: UnsafeMutableRawBufferPointer) { bits.fill(bytes) }

    public func next() -> UInt64 { bits.next() }

    public func stream(_ index: UInt64) -> any RandomGenerator { SeededRandomGenerator(path: path + [index]) }
}
