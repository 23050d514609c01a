import Operators

/// The layer that makes a model's first output.
enum LastLayer {
    /// The parameters of the products nearest to the first output, and of everything between them and it.
    static func parameters(of graph: ImportedGraph, among parameters: Set<String>) -> Set<String> {
        let index = GraphIndex(graph)
        var weightReaders: Set<Int> = []
        var readers: [Int: Set<String>] = [:]
        for name in parameters {
            for reading in index.readings(of: index.uses(of: name)) {
                readers[reading.use.node, default: []].insert(name)
                if reading.role == .weight { weightReaders.insert(reading.use.node) }
            }
        }
        var found: Set<String> = []
        var seen: Set<Int> = []
        var level = graph.outputs.first.flatMap { index.producers[$0.name] }.map { [$0] } ?? []
        while !level.isEmpty {
            seen.formUnion(level)
            for node in level { found.formUnion(readers[node] ?? []) }
            if level.contains(where: weightReaders.contains) { return found }
            let before = level.flatMap { graph.nodes[$0].inputs }.compactMap { index.producers[$0] }
            level = Set(before).subtracting(seen).sorted()
        }
        return found
    }
}
