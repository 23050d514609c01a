import Operators

/// Tensors that stand for equal tensors of the program, too, because the exporter merged the calls that read them. Unlike
/// merged tensors they cannot be taken apart: the graph has one node in place of several.
enum MergedCalls {
    /// One line for the user; nil if there is nothing.
    /// - Throws: `ONNXFormatError` if a tensor that has to be looked at cannot be decoded.
    static func note(on graph: ImportedGraph) throws -> String? {
        if graph.exporter.sources.isEmpty { return nil }
        var merged: [String] = []
        for place in try graph.tensorPlaces() where place.isMerged && !merged.contains(place.tensor) {
            merged.append(place.tensor)
        }
        if merged.isEmpty { return nil }
        let parameters = Set(try ParameterDiscovery.findings(in: graph).filter(\.isParameter).map(\.name))
        merged.removeAll { !parameters.contains($0) }
        if merged.isEmpty { return nil }
        let rest = merged.count > 4 ? " and \(merged.count - 4) more" : ""
        return "trained as one with equal tensors, whose calls the exporter merged: "
            + merged.prefix(4).map { "'\($0)'" }.joined(separator: ", ") + rest
            + "; export with optimize=False to train them apart"
    }
}
