import COnnxProto
import Glibc

extension ONNXModel {
    /// Writes the model to a new file, with `edits` applied and everything else as it was read: unknown fields,
    /// documentation, order of nodes, encoding and place of each tensor.
    ///
    /// External data are written as a new set of files beside the output, with the same offsets and contents but for
    /// replaced tensors; a file whose location begins with the input model's file name gets the output's name in its
    /// place, any other is named `<output file name>.<location, "/" replaced by "_">`. A replaced tensor that shares
    /// external bytes with another one is written to the end of its file instead.
    ///
    /// All files are completed under temporary names before the first gets its final one, so that a failure leaves
    /// nothing new behind. The input's files are never written to.
    ///
    /// - Throws: `invalidEdit`, `cannotCreate` (also when an output is one of the input's files) or `writeFailed`.
    public func save(to path: String, applying edits: ONNXEdits = ONNXEdits()) throws(ONNXFormatError) {
        let name = FilePath.name(of: path)
        let folder = FilePath.folder(of: path)
        guard !name.isEmpty, name != ".", name != ".." else {
            throw ONNXFormatError(.cannotCreate, "the output needs a file name", at: path)
        }
        var edited = EditedModel(self, output: name)
        let root = try edited.apply(edits)
        try checkTarget(path)
        for file in edited.external.files.values { try checkTarget("\(folder)/\(file.name)") }

        var outputs = try edited.external.write(into: folder)
        let output = try OutputFile(path: path)
        try MessagePacking.pack(root, edited.arena, at: path) { (bytes) throws(ONNXFormatError) in
            try output.append(bytes)
            self.releasePages(of: bytes)
        }
        try output.finish()
        outputs.append(output)
        for output in outputs { try output.commit() }
    }

    /// The model as bytes, with `edits` applied. For models without external data.
    public func serialized(applying edits: ONNXEdits = ONNXEdits()) throws(ONNXFormatError) -> [UInt8] {
        guard externalFiles.mappings.isEmpty else {
            throw ONNXFormatError(
                .invalidEdit, "a model with external data can only be saved to a file", at: displayName)
        }
        var edited = EditedModel(self, output: "")
        let root = try edited.apply(edits)
        var result: [UInt8] = []
        try MessagePacking.pack(root, edited.arena, at: displayName) { result.append(contentsOf: $0) }
        return result
    }

    private func checkTarget(_ path: String) throws(ONNXFormatError) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            throw ONNXFormatError(.cannotCreate, "a folder has that name", at: path)
        }
        let inputs = [identity].compactMap(\.self) + externalFiles.mappings.values.map(\.identity)
        guard !inputs.contains(FileMapping.Identity(status)) else {
            throw ONNXFormatError(
                .cannotCreate, "this file belongs to the input model; choose another output name", at: path)
        }
    }

    /// Every name in the main graph and its subgraphs that a new initializer must not take.
    var valueNames: Set<String> {
        var names: Set<String> = []
        var graphs = [graph]
        while let graph = graphs.popLast() {
            names.formUnion(graph.inputs.map(\.name))
            names.formUnion(graph.initializers.map(\.name))
            names.formUnion(graph.sparseInitializers.map(\.name))
            for node in graph.nodes {
                names.formUnion(node.outputs)
                for attribute in node.attributes {
                    switch attribute.value {
                    case .graph(let inner): graphs.append(inner)
                    case .graphs(let inner): graphs += inner
                    default: break
                    }
                }
            }
        }
        return names
    }
}
