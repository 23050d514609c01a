/// A tensor of a state_dict and one of a graph that hold the same elements, or one of which is a part of the other.
struct Candidate: Sendable {
    /// Positions in the lists of both.
    var state: Int
    var graph: Int
    var copies: [ElementCopy]
    var evidence: Evidence
    /// Whether the state_dict's tensor belongs to a module that reads the graph's, which bears the name of none that
    /// does: two modules share it.
    var isShared = false
}

/// How much speaks for a tensor of the graph being one of the program, besides its elements.
enum Evidence: Comparable, Sendable {
    /// Modules of other names read it; the number of path components that they have in common with the tensor's.
    case nearby(Int)
    /// The tensor's own module reads it; the number of components of its path.
    case module(Int)
    /// The exporter says that it was computed from the tensor, and possibly others.
    case folded
    /// It bears the tensor's name, or the exporter says that it is the tensor.
    case named

    init(_ state: StateTensor, _ graph: GraphTensor) {
        if graph.programNames.contains(state.programName) {
            self = .named
        } else if graph.foldedFrom.contains(state.programName) {
            self = .folded
        } else if graph.modules.contains(state.module) {
            self = .module(state.module.split(separator: ".").count)
        } else {
            self = .nearby(graph.modules.map { TensorNaming.commonDepth($0, state.module) }.max() ?? 0)
        }
    }
}
