/// Float32 values on their way into a tensor of some floating-point type, encoded a chunk at a time.
struct TensorEncoding: Sendable {
    let values: TensorValues
    /// float32, float64, float16 or bfloat16.
    let type: ONNXElementType

    var byteCount: Int { values.count * type.bitWidth! / 8 }

    /// Hands the little-endian encoding to `write` in pieces of at most 512 KiB.
    /// - Throws: what making the values throws, or `write`.
    func forEachChunk(_ write: ([UInt8]) throws(ONNXFormatError) -> Void) throws(ONNXFormatError) {
        let values = try values.load()
        let chunk = 1 << 16
        var start = 0
        while start < values.count {
            let end = min(start + chunk, values.count)
            try write(Self.encode(values[start..<end], as: type))
            start = end
        }
    }

    private static func encode(_ values: ArraySlice<Float>, as type: ONNXElementType) -> [UInt8] {
        switch type {
        case .float32: bytes(values) { $0.bitPattern }
        case .float64: bytes(values) { Double($0).bitPattern }
        case .float16: bytes(values) { Float16($0).bitPattern }
        case .bfloat16: bytes(values) { $0.bfloat16BitPattern }
        default: preconditionFailure("\(type) tensors are not trained")
        }
    }

    private static func bytes<Bits: FixedWidthInteger>(
        _ values: ArraySlice<Float>, _ convert: (Float) -> Bits
    ) -> [UInt8] {
        let size = MemoryLayout<Bits>.size
        return [UInt8](unsafeUninitializedCapacity: size * values.count) { buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for (index, value) in values.enumerated() {
                raw.storeBytes(of: convert(value).littleEndian, toByteOffset: size * index, as: Bits.self)
            }
            count = size * values.count
        }
    }
}
