import COnnxProto

/// A `TensorProto`: an initializer or a tensor attribute.
public struct ONNXTensor: Sendable {
    let proto: ProtoView<Onnx__TensorProto>

    public var name: String { text(proto.message.name) }
    public var documentation: String { text(proto.message.doc_string) }

    public var elementType: ONNXElementType { ONNXElementType(rawValue: proto.message.data_type)! }

    /// Row-major; empty for a scalar.
    public var dimensions: [Int] {
        UnsafeBufferPointer(start: proto.message.dims, count: proto.message.n_dims).map { Int($0) }
    }

    /// The product of `dimensions`, 1 for a scalar.
    public var elementCount: Int { dimensions.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue } }

    /// Whether the elements are in another file.
    public var isExternal: Bool { ExternalReference.isExternal(proto.pointer) }

    public var metadata: [ONNXMetadataEntry] {
        ONNXMetadataEntry.entries(proto.message.metadata_props, proto.message.n_metadata_props)
    }

    /// Hands the elements to `body` as they lie in the file, little-endian and row-major, and gives the memory of a
    /// mapped file back afterwards, so that a copy made by `body` is the only one in memory.
    ///
    /// - Returns: nil, without a call, if the elements are in one of the typed fields.
    public func withStoredBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result? {
        guard case .bytes(let bytes) = try storage().place else { return nil }
        defer { proto.model.releasePages(of: bytes) }
        return try body(bytes)
    }

    /// How error messages call this tensor.
    var displayName: String { "\(proto.model.displayName), tensor '\(name)'" }

    func storage() throws(ONNXFormatError) -> TensorStorage {
        try TensorStorage(proto.pointer, external: proto.model.externalFiles, at: displayName)
    }
}

/// A `SparseTensorProto`: a tensor in coordinate format.
public struct ONNXSparseTensor: Sendable {
    let proto: ProtoView<Onnx__SparseTensorProto>

    /// Its name is the name of its values.
    public var name: String { values.name }
    /// The stored elements, [count].
    public var values: ONNXTensor { ONNXTensor(proto: proto.view(proto.message.values)!) }
    /// int64 positions of the stored elements: linear, [count], or per axis, [count, rank].
    public var indices: ONNXTensor { ONNXTensor(proto: proto.view(proto.message.indices)!) }
    /// Shape of the whole tensor.
    public var dimensions: [Int] {
        UnsafeBufferPointer(start: proto.message.dims, count: proto.message.n_dims).map { Int($0) }
    }
}
