/// CRC-32C (RFC 3720, appendix B.4), bit by bit from a table.
enum Checksum32C {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
    }

    static func of(_ bytes: some Sequence<UInt8>) -> UInt32 {
        ~bytes.reduce(~0 as UInt32) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
    }

    /// As it stands in files of records: rotated and shifted, because checksums of data that hold their own checksum are
    /// weak.
    static func masked(_ bytes: some Sequence<UInt8>) -> UInt32 {
        let checksum = of(bytes)
        return (checksum >> 15 | checksum << 17) &+ 0xA282_EAD8
    }
}
