import ONNXFormat
import Operators
import TensorGraph

/// Finds the rows of embedding tables that lookups do not train in the exported program: PyTorch gives row `padding_idx`
/// no gradient from them, and ONNX's `Gather` does not know of it.
///
/// Dynamo writes the program's call beside the node, and the call names the row. Where no call is written, as in
/// TorchScript's files, the only row of zeros among others is taken for it: PyTorch starts it from zero, and it stays so.
enum PaddingRows {
    /// The graph with the rows noted at the nodes that look them up, and a line for the user on those that are known and
    /// one on those that are guessed.
    /// - Throws: `ONNXFormatError` if a table that has to be looked at cannot be decoded.
    static func marked(in graph: ImportedGraph) throws -> (graph: ImportedGraph, notes: [String]) {
        var result = graph
        let index = GraphIndex(graph)
        let calls = ProgramCalls(index)
        let discovery = ParameterDiscovery(index)
        var (known, guessed): ([String], [String]) = ([], [])
        var zeroRows: [String: Int?] = [:]
        for (position, node) in graph.nodes.enumerated() {
            guard node.operatorType == "Gather", node.domain.isEmpty, node.inputs.count == 2, readsRows(node),
                let table = index.initializers[node.inputs[0]], table.shape.count == 2, table.dataType.isTrainable,
                try discovery.finding(table, uses: index.uses(of: table.name)).isParameter
            else { continue }
            let lookup = calls.lookup(of: node)
            if lookup == nil, zeroRows[table.name] == nil {
                zeroRows.updateValue(zeroRow(of: try table.load()), forKey: table.name)
            }
            guard let row = lookup.map(\.paddingRow) ?? zeroRows[table.name]!, row < table.shape[0] else { continue }
            result.nodes[position].paddingRow = row
            let text = "row \(row) of '\(table.name)'"
            if lookup != nil, !known.contains(text) { known.append(text) }
            if lookup == nil, !guessed.contains(text) { guessed.append(text) }
        }
        var notes: [String] = []
        if !known.isEmpty { notes.append("no gradient from lookups for the program's padding: \(list(known))") }
        if !guessed.isEmpty {
            notes.append(
                "no gradient from lookups for what is taken for padding, as it is the only row of zeros: "
                    + "\(list(guessed)); a row that should train must not be zero")
        }
        return (result, notes)
    }

    private static func list(_ rows: [String]) -> String { rows.joined(separator: ", ") }

    private static func readsRows(_ node: ImportedNode) -> Bool {
        switch node.attributes["axis"] {
        case nil, .int(0)?: true
        default: false
        }
    }

    /// The only row of zeros.
    private static func zeroRow(of table: Constant) -> Int? {
        let (rows, width) = (table.type.shape[0], table.type.shape[1])
        let values = table.bytes.bindMemory(to: Float.self)
        guard table.type.elementType == .float32, rows > 1, width > 1 else { return nil }
        let zeros = (0..<rows).lazy.filter { row in (0..<width).allSatisfy { values[row * width + $0] == 0 } }
        let first = Array(zeros.prefix(2))
        return first.count == 1 ? first[0] : nil
    }
}
