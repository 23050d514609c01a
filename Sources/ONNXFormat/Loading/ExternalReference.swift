import COnnxProto

/// Where a tensor's bytes are in another file: the parsed entries of `external_data`.
struct ExternalReference: Hashable {
    /// Relative to the model's folder, without "." components.
    let location: String
    let offset: Int
    /// nil: the file does not say; then as many bytes as the tensor needs.
    let length: Int?

    /// Whether the tensor's data are in another file.
    static func isExternal(_ tensor: UnsafePointer<Onnx__TensorProto>) -> Bool {
        tensor.pointee.data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL
    }

    init(_ tensor: UnsafePointer<Onnx__TensorProto>, at place: String) throws(ONNXFormatError) {
        var entries: [String: String] = [:]
        for entry in ONNXMetadataEntry.entries(tensor.pointee.external_data, tensor.pointee.n_external_data) {
            guard entries.updateValue(entry.value, forKey: entry.key) == nil else {
                throw ONNXFormatError(.externalData, "external data give '\(entry.key)' twice", at: place)
            }
        }
        guard let location = entries["location"], !location.isEmpty else {
            throw ONNXFormatError(.externalData, "external data give no location", at: place)
        }
        self.location = try Self.normalised(location, at: place)
        offset = try Self.number(entries["offset"], "offset", at: place) ?? 0
        length = try Self.number(entries["length"], "length", at: place)
    }

    /// Refuses paths that could lead out of the model's folder.
    private static func normalised(_ location: String, at place: String) throws(ONNXFormatError) -> String {
        guard location.utf8.first != UInt8(ascii: "/") else {
            throw ONNXFormatError(
                .externalData, "external data location '\(location)' is absolute; it must lie in the model's folder",
                at: place)
        }
        let components = location.split(separator: "/").filter { $0 != "." }
        guard !components.isEmpty, !components.contains("..") else {
            throw ONNXFormatError(
                .externalData, "external data location '\(location)' does not lie inside the model's folder", at: place)
        }
        return components.joined(separator: "/")
    }

    private static func number(_ text: String?, _ key: String, at place: String) throws(ONNXFormatError) -> Int? {
        guard let text else { return nil }
        let isDecimal = !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard isDecimal, let value = Int(text) else {
            throw ONNXFormatError(.externalData, "external data \(key) '\(text)' is not a size in bytes", at: place)
        }
        return value
    }
}
