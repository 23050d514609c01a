import Training

/// Tensors of modules that the exporter merged into others: of two modules with equal tensors that a program calls with the
/// same input, as layers with parallel branches do, dynamo's optimizer leaves one.
///
/// The graph then computes with one of them in place of both, and names only one. The other is told by its values, its
/// tensors' names inside the module, and its place near the one that is left. Two equal tensors of one module, such as
/// fresh tokens that are expanded alike, are told by their values.
struct MergedModules {
    /// For the position of a tensor in the state_dict the position of the one that the graph has in its place.
    private(set) var twins: [Int: Int] = [:]
    /// For the position of a tensor those that the graph may have in its place.
    private(set) var ambiguous: [Int: [Int]] = [:]

    /// - Parameters:
    ///   - open: positions in the state_dict of floating-point tensors that are not in the graph.
    ///   - owners: for the position of a tensor in the graph the positions in the state_dict of those that it holds.
    /// - Throws: `DataError` for a tensor that cannot be decoded.
    init(
        _ states: [StateTensor], open: [Int], owners: (Int) -> [Int], _ graphs: [GraphTensor], in file: WeightFile
    ) throws {
        let merged = graphs.indices.filter { graphs[$0].isMerged }.flatMap(owners)
        guard !merged.isEmpty else { return }
        let members = Dictionary(
            grouping: states.indices.filter { states[$0].type.isFloatingPoint }, by: { states[$0].module })
        let isOpen = Set(open)
        for state in open {
            let tensor = states[state]
            let isWholeModule = members[tensor.module]!.allSatisfy(isOpen.contains)
            let candidates = merged.filter { other in
                guard states[other].shape == tensor.shape else { return false }
                return isWholeModule
                    ? TensorNaming.leaf(of: states[other].programName) == TensorNaming.leaf(of: tensor.programName)
                    : states[other].module == tensor.module
            }
            if candidates.isEmpty { continue }
            let values = try file.array(tensor.name).floats()
            let alike = try candidates.filter { try file.array(states[$0].name).floats() == values }
            let depths = alike.map { TensorNaming.commonDepth(states[$0].module, tensor.module) }
            let nearest = zip(alike, depths).filter { $0.1 == depths.max() }.map(\.0)
            if nearest.count == 1 { twins[state] = nearest[0] }
            if nearest.count > 1 { ambiguous[state] = nearest }
        }
    }
}
