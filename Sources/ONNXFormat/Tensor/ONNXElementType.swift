/// The element types of `TensorProto.DataType`, by their number in the file.
public enum ONNXElementType: Int32, Sendable, Hashable, CaseIterable {
    case float32 = 1
    case uint8 = 2
    case int8 = 3
    case uint16 = 4
    case int16 = 5
    case int32 = 6
    case int64 = 7
    case string = 8
    case bool = 9
    case float16 = 10
    case float64 = 11
    case uint32 = 12
    case uint64 = 13
    case complex64 = 14
    case complex128 = 15
    case bfloat16 = 16
    case float8E4M3FN = 17
    case float8E4M3FNUZ = 18
    case float8E5M2 = 19
    case float8E5M2FNUZ = 20
    case uint4 = 21
    case int4 = 22
    case float4E2M1 = 23
    case float8E8M0 = 24
    case uint2 = 25
    case int2 = 26
    case float6E2M3 = 27
    case float6E3M2 = 28

    /// Bits of one element in `raw_data`, where elements narrower than a byte are packed; nil for strings.
    public var bitWidth: Int? {
        switch self {
        case .string: nil
        case .uint2, .int2: 2
        case .uint4, .int4, .float4E2M1: 4
        case .float6E2M3, .float6E3M2: 6
        case .uint8, .int8, .bool, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ, .float8E8M0: 8
        case .uint16, .int16, .float16, .bfloat16: 16
        case .int32, .uint32, .float32: 32
        case .int64, .uint64, .float64, .complex64: 64
        case .complex128: 128
        }
    }

    /// Whether a trained float32 value can be written back in this type.
    public var isTrainable: Bool {
        switch self {
        case .float32, .float64, .float16, .bfloat16: true
        default: false
        }
    }

    /// Bytes of `count` elements in `raw_data`; nil for strings or where the size overflows.
    func byteCount(elements count: Int) -> Int? {
        guard let bitWidth else { return nil }
        let (bits, overflow) = count.multipliedReportingOverflow(by: bitWidth)
        if !overflow { return bits / 8 + (bits % 8 == 0 ? 0 : 1) }
        guard bitWidth % 8 == 0 else { return nil }
        let (bytes, tooLarge) = count.multipliedReportingOverflow(by: bitWidth / 8)
        return tooLarge ? nil : bytes
    }

    /// The typed field that holds this type where `raw_data` does not, and how many elements one entry holds.
    var typedField: TypedField {
        switch self {
        case .float32: .floats(entriesPerElement: 1)
        case .complex64: .floats(entriesPerElement: 2)
        case .float64: .doubles(entriesPerElement: 1)
        case .complex128: .doubles(entriesPerElement: 2)
        case .int64: .int64s
        case .uint32, .uint64: .uint64s
        case .string: .strings
        case .uint4, .int4, .float4E2M1: .int32s(elementsPerEntry: 2)
        case .uint2, .int2: .int32s(elementsPerEntry: 4)
        default: .int32s(elementsPerEntry: 1)
        }
    }

    enum TypedField: Equatable {
        case floats(entriesPerElement: Int)
        case doubles(entriesPerElement: Int)
        case int32s(elementsPerEntry: Int)
        case int64s
        case uint64s
        case strings

        var name: String {
            switch self {
            case .floats: "float_data"
            case .doubles: "double_data"
            case .int32s: "int32_data"
            case .int64s: "int64_data"
            case .uint64s: "uint64_data"
            case .strings: "string_data"
            }
        }

        /// Entries that `count` elements need; nil on overflow.
        func entries(elements count: Int) -> Int? {
            switch self {
            case .floats(let perElement), .doubles(let perElement):
                let (entries, overflow) = count.multipliedReportingOverflow(by: perElement)
                return overflow ? nil : entries
            case .int32s(let perEntry): return count / perEntry + (count % perEntry == 0 ? 0 : 1)
            case .int64s, .uint64s, .strings: return count
            }
        }
    }
}
