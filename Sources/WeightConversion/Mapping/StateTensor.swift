import Training

/// A tensor of a state_dict.
struct StateTensor: Sendable {
    /// Its name in the state_dict.
    var name: String
    /// Its name in the exported program.
    var programName: String
    var type: StoredType
    var shape: [Int]

    var module: String { TensorNaming.module(of: programName) }
    var count: Int { shape.reduce(1, *) }

    /// Whether PyTorch computes one weight from both tensors: from those of a parametrization, or, as weight normalization
    /// used to name them, a norm and a direction.
    func isParametrized(with other: StateTensor) -> Bool {
        guard module == other.module, name != other.name else { return false }
        if module.split(separator: ".").contains("parametrizations") { return true }
        let leaves = [TensorNaming.leaf(of: programName), TensorNaming.leaf(of: other.programName)]
        return leaves[0].dropLast(2) == leaves[1].dropLast(2) && Set(leaves.map { $0.suffix(2) }) == ["_g", "_v"]
    }

    /// Every tensor of a checkpoint whose program was exported as a graph.
    /// - Parameter names: names of the program's tensors besides those that the exporter states.
    static func all(
        in file: WeightFile, _ graphs: [GraphTensor], _ names: [String] = []
    ) throws -> [StateTensor] {
        var known = Set(graphs.map(\.name) + names)
        for tensor in graphs { known.formUnion(tensor.programNames.union(tensor.foldedFrom)) }
        let prefix = NamePrefix(file.names, among: known)
        return try file.names.map { name in
            let array = try file.array(name)
            return StateTensor(
                name: name, programName: prefix.programName(name), type: array.type, shape: array.shape)
        }
    }
}
