import Operators

/// Tensors that stand for equal tensors of the program, too, because the exporter merged the calls that read them, and it
/// cannot be told which those are; see `SplitCalls`.
enum MergedCalls {
    /// One line for the user; nil if there is nothing.
    /// - Throws: `ONNXFormatError` if a tensor that has to be looked at cannot be decoded.
    static func note(on graph: ImportedGraph) throws -> String? {
        let index = GraphIndex(graph)
        let calls = ProgramCalls(index)
        if calls.isEmpty { return nil }
        let discovery = ParameterDiscovery(index)
        var merged: [String] = []
        for tensor in graph.initializers {
            let uses = index.uses(of: tensor.name)
            let standsForOthers = uses.contains { calls.merged(into: index.node($0))?.isEmpty == false }
            guard standsForOthers else { continue }
            if try discovery.finding(tensor, uses: uses).isParameter { merged.append(tensor.name) }
        }
        if merged.isEmpty { return nil }
        return "trained as one with equal tensors, whose calls the exporter merged: \(nameList(merged)); "
            + "export with optimize=False to train them apart"
    }
}
