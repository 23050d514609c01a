import ONNXFormat
public import Operators

/// Undoes what exporters do to the parameters of a program.
///
/// They merge equal calls, see `SplitCalls`, and leave out biases that are zero, see `DroppedBiases`. They merge tensors of equal value, so
/// that fresh layers that have nothing to do with each other share one tensor: false ties, which would train as one.
/// `TensorOrigins` says how they are told from true ones. And they store a head that is tied to an embedding as a second,
/// transposed copy, which would train on its own; see `HeadCopies`.
public enum TieRepair {
    /// - Parameters:
    ///   - untie: whether to take false ties apart.
    ///   - retie: whether to tie heads to the embeddings that they copy.
    /// - Throws: `ONNXFormatError` if a tensor that has to be compared cannot be decoded.
    public static func repaired(_ graph: ImportedGraph, untie: Bool = true, retie: Bool = true) throws -> RepairedGraph
    {
        let split = try SplitCalls(of: graph)
        let biases = try DroppedBiases(of: split.graph)
        var graph = biases.graph
        var untied: [UntiedTensor] = []
        var copies: [HeadCopy] = []
        var notes: [String] = []
        for note in [split.note, biases.note] { if let note { notes.append(note) } }
        if untie {
            let ties = try FalseTies(of: graph)
            (graph, untied) = (ties.graph, ties.untied)
            notes += ties.notes
            if let note = try MergedCalls.note(on: graph) { notes.append(note) }
        }
        if retie {
            let heads = try HeadCopies(of: graph)
            (graph, copies) = (heads.graph, heads.copies)
            notes += copies.map { "tied '\($0.name)' to '\($0.table)', of which it is a copy" }
        }
        if let note = try StaleConstants.note(on: graph) { notes.append(note) }
        return RepairedGraph(
            graph, split: split.splits, restored: biases.restored, untied: untied, copies: copies, notes: notes)
    }
}
