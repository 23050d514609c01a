extension LoadedModel {
    /// The model with adapters, and what trains: the adapters, and what the selection states beside them.
    ///
    /// - Parameters:
    ///   - adapters: none leaves the model as it is.
    ///   - areKept: whether they are to be written as nodes of the file.
    /// - Throws: `SelectionError` or `UsageError` for adapters that the model cannot have, or a selection that contradicts
    ///   it.
    public func adapted(
        by adapters: [AdapterSpecification], areKept: Bool, beside selection: ParameterSelection
    ) throws -> (model: LoadedModel, trainable: [String]) {
        guard !adapters.isEmpty else {
            try require(!areKept, "--keep-adapter needs --adapter")
            return (self, try selection.names(in: repaired, findings: parameterFindings()))
        }
        let model = try adapted(by: adapters)
        if areKept {
            try model.adapters!.checkCanBeKept()
            try require(
                file.irVersion >= 4, "--keep-adapter needs IR version 4 or newer; the model has \(file.irVersion)")
        }
        let stated =
            selection.trainable.isEmpty ? [] : try selection.names(in: repaired, findings: parameterFindings())
        let chosen = Set(stated).union(model.adapters!.names)
        return (model, model.graph.initializers.map(\.name).filter(chosen.contains))
    }
}
