extension LoadedModel {
    /// Prefix of the keys under which the statement of an earlier training is kept; a number and a point follow.
    public static let earlierPrefix = "dponnx.earlier."

    /// Writes a copy of the model with trained weights and its privacy statement.
    ///
    /// A statement that the model carries from an earlier training is kept beside the new one, under `earlierPrefix`:
    /// for rows that both trainings saw, the guarantees add up. Adapters are merged into the weights that they stand
    /// beside, so that the graph stays as it is, unless `keepsAdapters`.
    /// - Throws: `ONNXFormatError` if the file cannot be written; nothing is then left at its name.
    public func save(
        _ weights: [(name: String, values: [Float])], statement: PrivacyStatement, to path: String,
        keepsAdapters: Bool = false
    ) throws {
        var edits = try edits(weights, keepsAdapters)
        let carried = file.metadata.filter { $0.key.hasPrefix(PrivacyStatement.keyPrefix) }
        edits.removedMetadata = Set(carried.map(\.key))
        edits.metadata = carried.map { entry in
            let key = entry.key.dropFirst(PrivacyStatement.keyPrefix.count)
            return ONNXMetadataEntry(
                key: "\(Self.earlierPrefix)\(earlierStatementCount + 1).\(key)", value: entry.value)
        }
        edits.metadata += statement.metadata().sorted { $0.key < $1.key }.map { ONNXMetadataEntry(key: $0, value: $1) }
        try file.save(to: path, applying: edits)
    }

    /// The trained weights under the names, shapes and types of the program that the model was exported from, as they
    /// would be converted from the file that `save` writes.
    ///
    /// - Parameter reference: the state_dict that the model was exported from.
    /// - Throws: as `StateConversion.init(trained:original:reference:releaseMemory:)`.
    public func state(_ weights: [(name: String, values: [Float])], like reference: WeightFile) throws
        -> StateConversion
    {
        func restored(_ graph: ImportedGraph) throws -> ImportedGraph {
            try TieRepair.repaired(graph, untie: false, retie: false).graph
        }
        let original = try ModelImporter.importGraph(of: file)
        return try StateConversion(
            trained: restored(original.applying(edits(weights, false))), original: restored(original),
            reference: reference)
    }

    private func edits(_ weights: [(name: String, values: [Float])], _ keepsAdapters: Bool) throws -> ONNXEdits {
        let values = Dictionary(uniqueKeysWithValues: weights.map { ($0.name, $0.values) })
        guard let adapters else { return try repaired.edits(values: values) }
        guard keepsAdapters else { return try repaired.edits(values: adapters.merged(values)) }
        var edits = try repaired.edits(values: values.filter { !adapters.names.contains($0.key) })
        let insertions = adapters.insertions(values)
        edits.insertions.tensors += insertions.tensors
        edits.insertions.nodes += insertions.nodes
        edits.insertions.renamings = insertions.renamings
        return edits
    }

    /// Statements of trainings before the last one.
    private var earlierStatementCount: Int {
        let numbers = file.metadata.filter { $0.key.hasPrefix(Self.earlierPrefix) }.compactMap { entry in
            Int(entry.key.dropFirst(Self.earlierPrefix.count).prefix { $0 != "." })
        }
        return numbers.max() ?? 0
    }

    /// The statement of the private training that this model comes from.
    /// - Throws: `PrivacyStatementError` if it cannot be understood.
    public func privacyStatement() throws(PrivacyStatementError) -> PrivacyStatement? {
        try PrivacyStatement(
            metadata: Dictionary(file.metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first }))
    }

    /// What has to be said of earlier trainings before another one starts; nil if there was none.
    public var earlierTrainingNote: String? {
        guard file.metadata.contains(where: { $0.key.hasPrefix(PrivacyStatement.keyPrefix) }) else { return nil }
        return
            "the model carries the privacy statement of an earlier training; for rows in both data sets the epsilons add up"
    }
}
