import COnnxProto
import CProtobufC
import Glibc

/// A walk over the protobuf wire format that accepts only what can be unpacked safely.
///
/// libprotobuf-c recurses once per nested message and allocates a whole C struct for a message of two bytes, so both
/// the nesting and the memory that unpacking will take are bounded here, before anything is allocated. The walk itself
/// keeps its own stack. It also refuses what the unpacked tree could not write back as it was: groups, and text with a
/// zero byte.
struct WireScan {
    /// Nesting that protobuf's own parsers accept, too. A subgraph takes three levels.
    static let depthLimit = 100

    private struct Frame {
        var descriptor: UnsafePointer<ProtobufCMessageDescriptor>
        var end: Int
        /// Bit i: field i of the descriptor, a single message or member of a oneof, has been seen.
        var seen: UInt64 = 0
    }

    private let bytes: UnsafeRawBufferPointer
    private let file: String
    private var position = 0
    private var memory = 0
    private let memoryLimit: Int
    /// Where bytes fields of a MiB and more lie.
    private var largeData: [Range<Int>] = []

    /// Throws a `malformed` error naming the message type and byte offset, unless `bytes` can be unpacked.
    /// - Returns: where the file holds bytes fields of a MiB and more, such as `raw_data`, in file order.
    @discardableResult
    static func check(
        _ bytes: UnsafeRawBufferPointer, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>, file: String
    ) throws(ONNXFormatError) -> [Range<Int>] {
        var scan = WireScan(bytes: bytes, file: file)
        try scan.run(descriptor)
        return scan.largeData
    }

    private init(bytes: UnsafeRawBufferPointer, file: String) {
        self.bytes = bytes
        self.file = file
        // Real graphs need up to about 30 times their wire size, but are small beside their weights, which need 1.
        memoryLimit = 256 << 20 + 16 * bytes.count
    }

    private mutating func run(_ root: UnsafePointer<ProtobufCMessageDescriptor>) throws(ONNXFormatError) {
        var stack = [Frame(descriptor: root, end: bytes.count)]
        while let frame = stack.last {
            if position == frame.end {
                stack.removeLast()
                continue
            }
            if let child = try field(in: &stack[stack.count - 1]) {
                guard stack.count < Self.depthLimit else {
                    throw malformed("messages are nested deeper than \(Self.depthLimit) levels", in: frame)
                }
                stack.append(child)
            }
        }
    }

    /// Reads one field; a message field returns the frame to enter, any other is passed over.
    private mutating func field(in frame: inout Frame) throws(ONNXFormatError) -> Frame? {
        let key = try varint(limit: 5, in: frame)
        guard (key >> 3) > 0, (key >> 3) < 1 << 29 else {
            throw malformed("field number \(key >> 3) is not possible", in: frame)
        }
        let number = UInt32(key >> 3)
        let wireType = UInt32(key & 7)
        // Twice 40 bytes: the list of members that unpacking keeps grows by doubling.
        try allocate(80, in: frame)
        guard let field = protobuf_c_message_descriptor_get_field(frame.descriptor, number) else {
            let length = try skip(wireType, in: frame)
            try allocate(48 + length, in: frame)
            return nil
        }
        return try known(field, wireType, in: &frame)
    }

    private mutating func known(
        _ field: UnsafePointer<ProtobufCFieldDescriptor>, _ wireType: UInt32, in frame: inout Frame
    ) throws(ONNXFormatError) -> Frame? {
        let type = field.pointee.type
        let repeated = field.pointee.label == PROTOBUF_C_LABEL_REPEATED
        let expected = Self.wireType(of: type)
        if repeated, wireType == 2, expected != 2 {
            try packed(field, in: frame)
            return nil
        }
        guard wireType == expected else {
            throw malformed("field \(Self.name(field)) has wire type \(wireType), not \(expected)", in: frame)
        }
        let isOneOf = field.pointee.flags & PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue != 0
        if !repeated, isOneOf || type == PROTOBUF_C_TYPE_MESSAGE { try once(field, in: &frame, oneOf: isOneOf) }
        guard wireType == 2 else {
            try skip(wireType, in: frame)
            try allocate(8, in: frame)
            return nil
        }
        let length = try length(in: frame)
        switch type {
        case PROTOBUF_C_TYPE_MESSAGE:
            let descriptor = field.pointee.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
            try allocate(descriptor.pointee.sizeof_message + 24, in: frame)
            return Frame(descriptor: descriptor, end: position + length)
        case PROTOBUF_C_TYPE_STRING where length > 0 && memchr(bytes.baseAddress! + position, 0, length) != nil:
            throw malformed("field \(Self.name(field)) holds text with a zero byte in it", in: frame)
        default:
            try allocate(length + 33, in: frame)
            if type == PROTOBUF_C_TYPE_BYTES, length >= 1 << 20 { largeData.append(position..<position + length) }
            position += length
            return nil
        }
    }

    /// A second occurrence of a single message would be merged into the first, at quadratic cost; no writer makes one.
    private func once(
        _ field: UnsafePointer<ProtobufCFieldDescriptor>, in frame: inout Frame, oneOf: Bool
    ) throws(ONNXFormatError) {
        let fields = frame.descriptor.pointee.fields!
        var conflict: UInt64 = 1 << UInt64(field - fields)
        if oneOf {
            for other in 0..<Int(frame.descriptor.pointee.n_fields)
            where fields[other].flags & PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue != 0
                && fields[other].quantifier_offset == field.pointee.quantifier_offset
            {
                conflict |= 1 << UInt64(other)
            }
        }
        guard frame.seen & conflict == 0 else {
            throw malformed("field \(Self.name(field)) or its alternative occurs twice", in: frame)
        }
        frame.seen |= 1 << UInt64(field - fields)
    }

    private mutating func packed(
        _ field: UnsafePointer<ProtobufCFieldDescriptor>, in frame: Frame
    ) throws(ONNXFormatError) {
        let length = try length(in: frame)
        let end = position + length
        switch Self.wireType(of: field.pointee.type) {
        case 0:
            var run = 0
            var count = 0
            for byte in bytes[position..<end] {
                run += 1
                guard run <= 10 else { throw malformed("field \(Self.name(field)) has an endless varint", in: frame) }
                if byte < 0x80 {
                    run = 0
                    count += 1
                }
            }
            guard run == 0 else { throw malformed("field \(Self.name(field)) ends inside a varint", in: frame) }
            try allocate(8 * count + 16, in: frame)
        case let fixed:
            let size = fixed == 5 ? 4 : 8
            guard length % size == 0 else {
                throw malformed("field \(Self.name(field)) has \(length) bytes, not a multiple of \(size)", in: frame)
            }
            try allocate(length + 16, in: frame)
        }
        position = end
    }

    /// Passes over one value of an unpacked wire type and returns how many bytes it took.
    @discardableResult
    private mutating func skip(_ wireType: UInt32, in frame: Frame) throws(ONNXFormatError) -> Int {
        let start = position
        switch wireType {
        case 0: _ = try varint(limit: 10, in: frame)
        case 1, 5:
            let size = wireType == 1 ? 8 : 4
            guard frame.end - position >= size else { throw malformed("the data end inside a number", in: frame) }
            position += size
        case 2: position += try length(in: frame)
        default: throw malformed("wire type \(wireType) is not used by ONNX", in: frame)
        }
        return position - start
    }

    /// The length that precedes text, bytes, a message or packed numbers; at most what is left of the message.
    private mutating func length(in frame: Frame) throws(ONNXFormatError) -> Int {
        let length = try varint(limit: 5, in: frame)
        guard length <= UInt64(frame.end - position) else {
            throw malformed("\(length) bytes are announced and \(frame.end - position) are left", in: frame)
        }
        guard length < Int32.max - 8 else { throw malformed("a field is larger than protobuf's 2 GiB", in: frame) }
        return Int(length)
    }

    private mutating func varint(limit: Int, in frame: Frame) throws(ONNXFormatError) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<limit {
            guard position < frame.end else { throw malformed("the data end inside a varint", in: frame) }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << UInt64(7 * index)
            if byte < 0x80 { return value }
        }
        throw malformed("a varint has more than \(limit) bytes", in: frame)
    }

    private mutating func allocate(_ size: Int, in frame: Frame) throws(ONNXFormatError) {
        memory += size
        guard memory <= memoryLimit else {
            throw malformed(
                "unpacking would take over \(memoryLimit >> 20) MiB, out of proportion to the file", in: frame)
        }
    }

    private func malformed(_ what: String, in frame: Frame) -> ONNXFormatError {
        let type = String(cString: frame.descriptor.pointee.short_name)
        return ONNXFormatError(
            .malformed, "not a valid ONNX file: \(what) (\(type), byte \(position)); export the model again", at: file)
    }

    private static func name(_ field: UnsafePointer<ProtobufCFieldDescriptor>) -> String {
        String(cString: field.pointee.name)
    }

    private static func wireType(of type: ProtobufCType) -> UInt32 {
        switch type {
        case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_MESSAGE: 2
        case PROTOBUF_C_TYPE_FLOAT, PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32: 5
        case PROTOBUF_C_TYPE_DOUBLE, PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64: 1
        default: 0
        }
    }
}
