/// Elements out of any encoding (`raw_data`, typed fields, external files), in row-major order.
///
/// Each throws `unsupportedType` for an element type that has no such values. Sizes have been checked on loading.
extension ONNXTensor {
    /// The elements of a float tensor of 4 to 64 bits; float64 is rounded to nearest.
    public func floats() throws(ONNXFormatError) -> [Float] {
        let storage = try storage()
        switch storage.type {
        case .float32: return elements(storage, Float.self) { Float(bitPattern: UInt32(truncatingIfNeeded: $0)) }
        case .float64: return elements(storage, Double.self) { Float(Double(bitPattern: $0)) }
        case .float16:
            return elements(storage, UInt16.self) { Float(Float16(bitPattern: UInt16(truncatingIfNeeded: $0))) }
        case .bfloat16:
            return elements(storage, UInt16.self) { Float(bitPattern: UInt32(truncatingIfNeeded: $0 & 0xFFFF) << 16) }
        case .float8E8M0: return elements(storage, UInt8.self) { Self.powerOfTwo(UInt8(truncatingIfNeeded: $0)) }
        case .float4E2M1:
            let format = NarrowFloat(.float4E2M1)!
            return packed(storage).map(format.value)
        default:
            guard let format = NarrowFloat(storage.type) else { throw unsupported("floating-point") }
            return elements(storage, UInt8.self) { format.value(UInt8(truncatingIfNeeded: $0)) }
        }
    }

    /// A scale of the Microscaling Formats, which is an exponent alone.
    private static func powerOfTwo(_ code: UInt8) -> Float {
        code == .max ? .nan : Float(sign: .plus, exponent: Int(code) - 127, significand: 1)
    }

    /// The elements of a floating-point, integer or Boolean tensor; 64-bit integers are rounded to nearest.
    public func doubles() throws(ONNXFormatError) -> [Double] {
        switch elementType {
        case .float64: return elements(try storage(), Double.self) { Double(bitPattern: $0) }
        case .float32, .float16, .bfloat16, .float8E8M0: return try floats().map(Double.init)
        case _ where NarrowFloat(elementType) != nil: return try floats().map(Double.init)
        case .uint64: return elements(try storage(), UInt64.self) { Double($0) }
        default: return try int64s().map(Double.init)
        }
    }

    /// The elements of an integer or Boolean tensor. Throws `malformed` for a uint64 element above `Int64.max`.
    public func int64s() throws(ONNXFormatError) -> [Int64] {
        let storage = try storage()
        switch storage.type {
        case .int64: return elements(storage, UInt64.self) { Int64(bitPattern: $0) }
        case .int32: return elements(storage, UInt32.self) { Int64(Int32(truncatingIfNeeded: $0)) }
        case .uint32: return elements(storage, UInt32.self) { Int64(UInt32(truncatingIfNeeded: $0)) }
        case .int16: return elements(storage, UInt16.self) { Int64(Int16(truncatingIfNeeded: $0)) }
        case .uint16: return elements(storage, UInt16.self) { Int64(UInt16(truncatingIfNeeded: $0)) }
        case .int8: return elements(storage, UInt8.self) { Int64(Int8(truncatingIfNeeded: $0)) }
        case .uint8: return elements(storage, UInt8.self) { Int64(UInt8(truncatingIfNeeded: $0)) }
        case .bool: return elements(storage, UInt8.self) { $0 == 0 ? 0 : 1 }
        case .int4, .uint4, .int2, .uint2: return packedIntegers(storage)
        case .uint64:
            let values = elements(storage, UInt64.self) { $0 }
            guard values.allSatisfy({ $0 <= UInt64(Int64.max) }) else {
                throw ONNXFormatError(.malformed, "an element does not fit into int64", at: displayName)
            }
            return values.map { Int64($0) }
        default: throw unsupported("integer")
        }
    }

    /// The elements of a Boolean tensor.
    public func bools() throws(ONNXFormatError) -> [Bool] {
        guard elementType == .bool else { throw unsupported("Boolean") }
        return elements(try storage(), UInt8.self) { $0 != 0 }
    }

    /// The elements of a string tensor.
    public func strings() throws(ONNXFormatError) -> [String] {
        guard case .strings(let entries) = try storage().place else { throw unsupported("text") }
        return entries.map { text($0) }
    }

    /// The elements as `raw_data` holds them: little-endian, those narrower than a byte packed, Booleans 0 or 1.
    /// Every type but strings.
    public func bytes() throws(ONNXFormatError) -> [UInt8] {
        let storage = try storage()
        switch storage.place {
        case .bytes(let bytes): return Array(bytes)
        case .floats(let entries): return entries.flatMap { Self.littleEndian($0.bitPattern) }
        case .doubles(let entries): return entries.flatMap { Self.littleEndian($0.bitPattern) }
        case .int64s(let entries): return entries.flatMap { Self.littleEndian($0) }
        case .uint64s(let entries) where storage.type == .uint32:
            return entries.flatMap { Self.littleEndian(UInt32(truncatingIfNeeded: $0)) }
        case .uint64s(let entries): return entries.flatMap { Self.littleEndian($0) }
        case .int32s(let entries) where storage.type.bitWidth == 6:
            return Self.packSixBits(entries.map { UInt8(truncatingIfNeeded: $0) & 0x3F })
        case .int32s(let entries):
            switch storage.type.bitWidth {
            case 32: return entries.flatMap { Self.littleEndian($0) }
            case 16: return entries.flatMap { Self.littleEndian(UInt16(truncatingIfNeeded: $0)) }
            default: return entries.map { UInt8(truncatingIfNeeded: $0) }
            }
        case .strings: throw unsupported("fixed-size")
        }
    }

    /// Applies `convert` to each element's bits, zero-extended from `raw_data` and however extended from typed fields.
    private func elements<Raw: BitwiseCopyable, Value>(
        _ storage: TensorStorage, _ raw: Raw.Type, _ convert: (UInt64) -> Value
    ) -> [Value] {
        switch storage.place {
        case .bytes(let bytes):
            let width = MemoryLayout<Raw>.size
            return (0..<storage.count).map { index in
                let bits: UInt64 =
                    switch width {
                    case 1: UInt64(bytes[index])
                    case 2: UInt64(bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self).littleEndian)
                    case 4: UInt64(bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self).littleEndian)
                    default: bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self).littleEndian
                    }
                return convert(bits)
            }
        case .floats(let entries): return entries.map { convert(UInt64($0.bitPattern)) }
        case .doubles(let entries): return entries.map { convert($0.bitPattern) }
        case .int32s(let entries): return entries.map { convert(UInt64(UInt32(bitPattern: $0))) }
        case .int64s(let entries): return entries.map { convert(UInt64(bitPattern: $0)) }
        case .uint64s(let entries): return entries.map { convert($0) }
        case .strings: preconditionFailure("string tensors have no bits")
        }
    }

    /// Integers of 4 or 2 bits, the first in the lowest bits of each byte or `int32_data` entry.
    private func packedIntegers(_ storage: TensorStorage) -> [Int64] {
        let width = Int64(storage.type.bitWidth!)
        let isSigned = storage.type == .int4 || storage.type == .int2
        return packed(storage).map { code in
            let value = Int64(code)
            return isSigned && value >> (width - 1) == 1 ? value - 1 << width : value
        }
    }

    /// The codes of elements of 4 or 2 bits.
    private func packed(_ storage: TensorStorage) -> [UInt8] {
        let width = storage.type.bitWidth!
        let perEntry = 8 / width
        return (0..<storage.count).map { index in
            let entry: UInt8 =
                switch storage.place {
                case .bytes(let bytes): bytes[index / perEntry]
                case .int32s(let entries): UInt8(truncatingIfNeeded: entries[index / perEntry])
                default: preconditionFailure("elements below a byte are in raw_data or int32_data")
                }
            return entry >> UInt8(index % perEntry * width) & (1 << UInt8(width) - 1)
        }
    }

    private static func packSixBits(_ values: [UInt8]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: (6 * values.count + 7) / 8)
        for (index, value) in values.enumerated() {
            let bit = 6 * index
            bytes[bit / 8] |= value << UInt8(bit % 8)
            if bit % 8 > 2 { bytes[bit / 8 + 1] |= value >> UInt8(8 - bit % 8) }
        }
        return bytes
    }

    private static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    private func unsupported(_ wanted: String) -> ONNXFormatError {
        ONNXFormatError(.unsupportedType, "\(elementType) elements cannot be read as \(wanted) values", at: displayName)
    }
}
