/// A zip file of stored entries, put together byte by byte.
struct ZipBytes {
    private var local: [UInt8] = []
    private var central: [UInt8] = []
    private var count = 0

    /// - Parameters:
    ///   - size: what both headers say of the entry's size; nil for the truth.
    ///   - offset: where the directory says the entry begins; nil for the truth.
    mutating func add(_ name: String, _ bytes: [UInt8], size: Int? = nil, offset: Int? = nil) {
        let size = UInt32(size ?? bytes.count)
        let shared =
            Self.little(UInt16(20)) + Self.little(UInt16(0)) + Self.little(UInt16(0)) + Self.little(UInt32(0))
            + Self.little(Self.checksum(bytes)) + Self.little(size) + Self.little(size)
            + Self.little(UInt16(name.utf8.count)) + Self.little(UInt16(0))
        central += Self.little(UInt32(0x0201_4B50)) + Self.little(UInt16(20)) + shared
        central += [UInt8](repeating: 0, count: 10) + Self.little(UInt32(offset ?? local.count)) + Array(name.utf8)
        local += Self.little(UInt32(0x0403_4B50)) + shared + Array(name.utf8) + bytes
        count += 1
    }

    var bytes: [UInt8] {
        local + central + Self.little(UInt32(0x0605_4B50)) + Self.little(UInt32(0)) + Self.little(UInt16(count))
            + Self.little(UInt16(count)) + Self.little(UInt32(central.count)) + Self.little(UInt32(local.count))
            + Self.little(UInt16(0))
    }

    static func little(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    /// CRC-32 as zip files have it.
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var sum: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0xEDB8_8320 : 0) }
        }
        return ~sum
    }
}
