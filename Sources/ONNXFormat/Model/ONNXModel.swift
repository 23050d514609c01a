import COnnxProto

/// An ONNX model: the file's `ModelProto`, checked, and the external data files that it refers to.
///
/// Loading either succeeds with a structurally sound model or throws one `ONNXFormatError`. What it checks: the wire
/// format; that every tensor's data have the size its type and shape ask for; that external files lie inside the
/// model's folder and are long enough; that in every graph and function names are defined once and before they are
/// read; that local functions do not call themselves. Whether operators are known and fit their inputs is not asked.
///
/// Graphs, nodes and tensors are light views that keep the model alive. The model is immutable, so it and its views may
/// be used from any thread.
public final class ONNXModel: Sendable {
    let tree: ProtoTree
    let externalFiles: ExternalFiles
    /// Identity of the model's own file; nil when it was made from bytes.
    let identity: FileMapping.Identity?
    /// The file the model was read from; nil when it was made from bytes.
    public let path: String?

    /// Reads and checks a model file; its external data files are mapped into memory, not read.
    public init(path: String) throws(ONNXFormatError) {
        let mapping = try FileMapping.open(path)
        tree = try ProtoTree(mapping, file: path)
        externalFiles = try ExternalFiles(of: tree, folderOf: path)
        identity = mapping.identity
        self.path = path
        try validate()
    }

    /// Reads and checks a model held in memory. External data are refused, having no folder to be looked for in.
    public init(serialized: [UInt8]) throws(ONNXFormatError) {
        tree = try Self.unpack(serialized)
        externalFiles = try ExternalFiles(of: tree, folderOf: nil)
        identity = nil
        path = nil
        try validate()
    }

    /// Gives back the memory of a mapped file's part; anything else is left alone.
    func releasePages(of part: UnsafeRawBufferPointer) {
        tree.mapping?.releasePages(of: part)
        for mapping in externalFiles.mappings.values { mapping.releasePages(of: part) }
    }

    private static func unpack(_ serialized: [UInt8]) throws(ONNXFormatError) -> ProtoTree {
        let result = serialized.withUnsafeBytes { bytes in
            Result { () throws(ONNXFormatError) in try ProtoTree(bytes, file: inMemoryName) }
        }
        return try result.get()
    }

    /// What error messages call a model that has no file.
    static let inMemoryName = "model in memory"

    /// What error messages call this model.
    var displayName: String { path ?? Self.inMemoryName }

    /// Gives the memory back that reading external data took; they are read again when they are needed.
    public func discardExternalPages() { for mapping in externalFiles.mappings.values { mapping.releasePages() } }

    private var proto: ProtoView<Onnx__ModelProto> { ProtoView(tree.root, of: self) }

    /// Version of the file format (`ir_version`); 0 if absent.
    public var irVersion: Int { Int(proto.message.ir_version) }
    public var producerName: String { text(proto.message.producer_name) }
    public var producerVersion: String { text(proto.message.producer_version) }
    public var domain: String { text(proto.message.domain) }
    public var modelVersion: Int { Int(proto.message.model_version) }
    public var documentation: String { text(proto.message.doc_string) }

    /// Version of each operator set in use. The standard set has the domain "" (written as "ai.onnx" by some).
    public var opsetImports: [ONNXOpsetImport] {
        ONNXOpsetImport.imports(proto.message.opset_import, proto.message.n_opset_import)
    }

    public var metadata: [ONNXMetadataEntry] {
        ONNXMetadataEntry.entries(proto.message.metadata_props, proto.message.n_metadata_props)
    }

    /// The main graph.
    public var graph: ONNXGraph { ONNXGraph(proto: proto.view(proto.message.graph)!) }

    /// The model's local functions, in file order.
    public var functions: [ONNXFunction] {
        proto.views(proto.message.functions, proto.message.n_functions).map { ONNXFunction(proto: $0) }
    }

    /// Whether the file carries ONNX's own training description (kept as it is, otherwise unused).
    public var hasTrainingInfo: Bool { proto.message.n_training_info > 0 }
}

/// The version of one operator set that a model or function uses.
public struct ONNXOpsetImport: Sendable, Hashable {
    /// The set's domain; the standard one is always "", also where the file says "ai.onnx".
    public let domain: String
    public let version: Int

    static func imports(
        _ array: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__OperatorSetIdProto>?>?, _ count: Int
    ) -> [ONNXOpsetImport] {
        messages(array, count).map {
            ONNXOpsetImport(domain: standardised(text($0.pointee.domain)), version: Int($0.pointee.version))
        }
    }
}

/// The standard operators' domain has two spellings; the empty one is used throughout.
func standardised(_ domain: String) -> String { domain == "ai.onnx" ? "" : domain }
