import COnnxProto
import CProtobufC

/// A tensor's type, size, and the one place where its elements are, all checked against each other.
struct TensorStorage {
    enum Place {
        /// `raw_data` or an external file.
        case bytes(UnsafeRawBufferPointer)
        case floats(UnsafeBufferPointer<Float>)
        case doubles(UnsafeBufferPointer<Double>)
        case int32s(UnsafeBufferPointer<Int32>)
        case int64s(UnsafeBufferPointer<Int64>)
        case uint64s(UnsafeBufferPointer<UInt64>)
        case strings(UnsafeBufferPointer<ProtobufCBinaryData>)
    }

    let type: ONNXElementType
    let count: Int
    let place: Place

    init(
        _ pointer: UnsafePointer<Onnx__TensorProto>, external: ExternalFiles, at name: @autoclosure () -> String
    ) throws(ONNXFormatError) {
        let tensor = pointer.pointee
        guard let type = ONNXElementType(rawValue: tensor.data_type) else {
            throw ONNXFormatError(.malformed, "element type \(tensor.data_type) is not one of ONNX's", at: name())
        }
        self.type = type
        count = try Self.elementCount(
            UnsafeBufferPointer(start: tensor.dims, count: tensor.n_dims), type: type, at: name())
        guard tensor.segment == nil else {
            throw ONNXFormatError(.malformed, "tensors cut into segments are not supported", at: name())
        }
        let filled = Self.filledFields(tensor)
        guard filled.count <= 1 else {
            throw ONNXFormatError(
                .malformed, "the data are given twice: \(filled.joined(separator: " and "))", at: name())
        }
        if ExternalReference.isExternal(pointer) {
            guard filled.isEmpty else {
                throw ONNXFormatError(.malformed, "the data are external and in \(filled[0])", at: name())
            }
            place = .bytes(try Self.external(pointer, type, count, external, at: name()))
            return
        }
        guard tensor.data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT else {
            throw ONNXFormatError(
                .malformed, "data location \(tensor.data_location.rawValue) is not one of ONNX's", at: name())
        }
        if filled == ["raw_data"] || (filled.isEmpty && tensor.has_raw_data != 0 && type != .string) {
            let expected = type.byteCount(elements: count)
            guard expected == tensor.raw_data.len else {
                let need = expected.map { "\($0) bytes" } ?? "string_data"
                throw ONNXFormatError(
                    .malformed, "raw_data has \(tensor.raw_data.len) bytes, but type and shape need \(need)", at: name()
                )
            }
            place = .bytes(UnsafeRawBufferPointer(start: tensor.raw_data.data, count: tensor.raw_data.len))
            return
        }
        place = try Self.typed(tensor, type, count, filled: filled.first, at: name())
    }

    /// The product of the dimensions; 1 without any.
    static func elementCount(
        _ dimensions: UnsafeBufferPointer<Int64>, type: ONNXElementType, at name: @autoclosure () -> String
    ) throws(ONNXFormatError) -> Int {
        var count = 1
        var isEmpty = false
        for dimension in dimensions {
            guard dimension >= 0 else {
                throw ONNXFormatError(.malformed, "dimension \(dimension) is negative", at: name())
            }
            if dimension == 0 {
                isEmpty = true
                continue
            }
            let (product, overflow) = count.multipliedReportingOverflow(by: Int(dimension))
            guard !overflow else {
                throw ONNXFormatError(.malformed, "shape \(Array(dimensions)) has too many elements", at: name())
            }
            count = product
        }
        if isEmpty { return 0 }
        guard type == .string || type.byteCount(elements: count) != nil else {
            throw ONNXFormatError(.malformed, "shape \(Array(dimensions)) takes too many bytes", at: name())
        }
        return count
    }

    private static func filledFields(_ tensor: Onnx__TensorProto) -> [String] {
        let fields = [
            ("raw_data", tensor.raw_data.len), ("float_data", tensor.n_float_data),
            ("double_data", tensor.n_double_data), ("int32_data", tensor.n_int32_data),
            ("int64_data", tensor.n_int64_data), ("uint64_data", tensor.n_uint64_data),
            ("string_data", tensor.n_string_data),
        ]
        return fields.filter { $0.1 > 0 }.map { $0.0 }
    }

    private static func external(
        _ pointer: UnsafePointer<Onnx__TensorProto>, _ type: ONNXElementType, _ count: Int, _ files: ExternalFiles,
        at name: @autoclosure () -> String
    ) throws(ONNXFormatError) -> UnsafeRawBufferPointer {
        guard let size = type.byteCount(elements: count) else {
            throw ONNXFormatError(.malformed, "strings cannot be external data", at: name())
        }
        return try files.bytes(of: ExternalReference(pointer, at: name()), size: size, at: name())
    }

    private static func typed(
        _ tensor: Onnx__TensorProto, _ type: ONNXElementType, _ count: Int, filled: String?,
        at name: @autoclosure () -> String
    ) throws(ONNXFormatError) -> Place {
        let field = type.typedField
        guard filled == nil || filled == field.name else {
            throw ONNXFormatError(.malformed, "\(type) elements belong into \(field.name), not \(filled!)", at: name())
        }
        let (place, entries): (Place, Int) =
            switch field {
            case .floats: (.floats(buffer(tensor.float_data, tensor.n_float_data)), tensor.n_float_data)
            case .doubles: (.doubles(buffer(tensor.double_data, tensor.n_double_data)), tensor.n_double_data)
            case .int32s: (.int32s(buffer(tensor.int32_data, tensor.n_int32_data)), tensor.n_int32_data)
            case .int64s: (.int64s(buffer(tensor.int64_data, tensor.n_int64_data)), tensor.n_int64_data)
            case .uint64s: (.uint64s(buffer(tensor.uint64_data, tensor.n_uint64_data)), tensor.n_uint64_data)
            case .strings: (.strings(buffer(tensor.string_data, tensor.n_string_data)), tensor.n_string_data)
            }
        guard field.entries(elements: count) == entries else {
            let need = field.entries(elements: count).map(String.init) ?? "more"
            throw ONNXFormatError(
                .malformed, "\(field.name) has \(entries) entries, but type and shape need \(need)", at: name())
        }
        return place
    }

    private static func buffer<Element>(
        _ start: UnsafeMutablePointer<Element>?, _ count: Int
    ) -> UnsafeBufferPointer<Element> {
        UnsafeBufferPointer(start: start, count: start == nil ? 0 : count)
    }
}
