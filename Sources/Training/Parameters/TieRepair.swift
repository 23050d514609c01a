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
    ///   - completes: whether calls and biases that the exporter left out are put back.
    ///   - untie: whether to take false ties apart.
    ///   - retie: whether to tie heads to the embeddings that they copy.
    /// - Throws: `ONNXFormatError` if a tensor that has to be compared cannot be decoded.
    public static func repaired(
        _ graph: ImportedGraph, completes: Bool = true, untie: Bool = true, retie: Bool = true
    ) throws -> RepairedGraph {
        var graph = graph
        var split: [SplitCall] = []
        var restored: [DroppedBias] = []
        var untied: [UntiedTensor] = []
        var copies: [HeadCopy] = []
        var notes: [String] = []
        if completes {
            let calls = try SplitCalls(of: graph)
            let biases = try DroppedBiases(of: calls.graph)
            (graph, split, restored) = (biases.graph, calls.splits, biases.restored)
            if let note = calls.note { notes.append(note) }
            notes += biases.notes
        }
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
        let padding = try PaddingRows.marked(in: graph)
        graph = padding.graph
        notes += padding.notes
        if let note = try StaleConstants.note(on: graph) { notes.append(note) }
        return RepairedGraph(graph, split: split, restored: restored, untied: untied, copies: copies, notes: notes)
    }
}
