import ONNXFormat
import Operators
import TensorGraph

/// A second copy of an embedding table that the file keeps for the head, of a weight in another shape, or of what was
/// folded from a parameter.
struct HeadCopy: Sendable {
    var name: String
    var table: String
    /// The table's shape, [rows, columns] if the copy is transposed.
    var shape: [Int]
    /// Whether the copy has the table's columns as rows.
    var isTransposed: Bool

    /// The copy's elements for a table, row by row.
    func values(of table: [Float]) -> [Float] {
        guard isTransposed else { return table }
        let (rows, columns) = (shape[0], shape[1])
        return [Float](unsafeUninitializedCapacity: table.count) { copy, count in
            _ = Self.everyElement(rows, columns) { row, column in
                copy[column * rows + row] = table[row * columns + column]
                return true
            }
            count = table.count
        }
    }

    /// Visits a matrix in tiles, which keeps both it and its transpose in cache, until `body` returns false.
    /// - Returns: whether `body` always returned true.
    @inline(__always)
    static func everyElement(_ rows: Int, _ columns: Int, _ body: (_ row: Int, _ column: Int) -> Bool) -> Bool {
        let side = 32
        for top in stride(from: 0, to: rows, by: side) {
            for left in stride(from: 0, to: columns, by: side) {
                for row in top..<min(top + side, rows) {
                    for column in left..<min(left + side, columns) where !body(row, column) { return false }
                }
            }
        }
        return true
    }
}

/// Ties heads to the embedding tables that they are copies of.
///
/// Folding constants turns `head = Transpose(table)` into a second tensor. A tensor is taken for such a copy if it is
/// the second operand of a product and nothing else, equals an embedding table or its transpose element for element, and
/// is not filled with one number. If the exporter says what the copy was folded from, that must be the table; then the
/// table may be any parameter, such as an encoder's weight that its decoder shares. So it may where TorchScript folded
/// the transpose of a tensor that the same module, or one around or inside it, reads under its own name.
///
/// In the same way a weight is tied to what was folded from it by a change of shape, as spectral normalization reads a
/// kernel as a matrix, if it is the only tensor with these elements. And what was folded from the same parameters at every
/// call of a module is one tensor, which the exporter stores as often: equal tensors are merged only if they are small.
struct HeadCopies {
    private(set) var graph: ImportedGraph
    private(set) var copies: [HeadCopy] = []
    private let index: GraphIndex

    /// - Throws: `ONNXFormatError` if a tensor cannot be decoded.
    init(of graph: ImportedGraph) throws {
        self.graph = graph
        index = GraphIndex(graph)
        let heads = graph.initializers.compactMap { tensor in head(tensor).map { (tensor, $0) } }
        let scopes = ModuleScopes(graph)
        for table in graph.initializers where table.shape.count == 2 && table.dataType.isTrainable {
            let isTable = isTable(table)
            let candidates = heads.flatMap { head, isTransposed in
                guard head.name != table.name, head.dataType == table.dataType, !table.shape.contains(0) else {
                    return [(ImportedGraph.Initializer, Bool)]()
                }
                // Which way a stated copy lies follows from its values alone.
                let ways: [Bool] =
                    if isTable {
                        isFoldable(head, from: table) ? [isTransposed] : []
                    } else if statedSources(head) == [table.name] {
                        [true, false]
                    } else {
                        isFoldedBeside(table, head, scopes) ? [true] : []
                    }
                return ways.filter { head.shape == ($0 ? table.shape.reversed() : table.shape) }.map { (head, $0) }
            }
            guard !candidates.isEmpty else { continue }
            let values = try table.load()
            guard TensorPattern.fill(of: values) == nil else { continue }
            for (head, isTransposed) in candidates where !copies.contains(where: { $0.name == head.name }) {
                let copy = HeadCopy(
                    name: head.name, table: table.name, shape: table.shape, isTransposed: isTransposed)
                // What equals its own transpose, such as an identity, may equal another tensor by its initialisation.
                let isAmbiguous = !isTable && Self.equal(values, to: values, copy)
                if !isAmbiguous, Self.equal(try head.load(), to: values, copy) { copies.append(copy) }
            }
        }
        for tensor in graph.initializers where !copies.contains(where: { $0.name == tensor.name }) {
            if let copy = try reshaped(tensor, scopes) { copies.append(copy) }
        }
        try findRepeated()
        for copy in copies.reversed() { tie(copy) }
    }

    /// Finds tensors that were folded from the same parameters with the same result.
    private mutating func findRepeated() throws {
        struct Origin: Hashable {
            var sources: [String]
            var shape: [Int]
            var type: ONNXElementType
        }
        var known: [Origin: [ImportedGraph.Initializer]] = [:]
        let copied = Set(copies.map(\.name))
        for tensor in graph.initializers where tensor.isTrainable && !copied.contains(tensor.name) {
            let sources = statedSources(tensor)
            guard sources.contains(where: { graph.exporter.kind(ofTarget: $0) == "PARAMETER" }),
                !index.uses(of: tensor.name).isEmpty, !index.captured.contains(tensor.name)
            else { continue }
            let origin = Origin(sources: sources, shape: tensor.shape, type: tensor.dataType)
            let first = try known[origin]?.first { try $0.load().isIdentical(to: tensor.load()) }
            if let first, TensorPattern.fill(of: try tensor.load()) == nil {
                copies.append(
                    HeadCopy(name: tensor.name, table: first.name, shape: first.shape, isTransposed: false))
            } else {
                known[origin, default: []].append(tensor)
            }
        }
    }

    /// What a tensor was folded from if only its shape was changed.
    private func reshaped(_ tensor: ImportedGraph.Initializer, _ scopes: ModuleScopes) throws -> HeadCopy? {
        let count = tensor.shape.reduce(1, *)
        guard count > 1, tensor.dataType.isTrainable, TensorName.isMadeUp(tensor.name),
            !index.uses(of: tensor.name).isEmpty, !index.captured.contains(tensor.name)
        else { return nil }
        let sources = graph.initializers.filter { source in
            source.dataType == tensor.dataType && source.shape != tensor.shape && source.shape.reduce(1, *) == count
                && !TensorName.isMadeUp(source.name) && !index.uses(of: source.name).isEmpty
                && (statedSources(tensor) == [source.name] || isFoldedBeside(source, tensor, scopes))
        }
        guard !sources.isEmpty else { return nil }
        let values = try tensor.load()
        guard TensorPattern.fill(of: values) == nil else { return nil }
        let equal = try sources.filter { try values.isIdentical(to: Constant(viewing: $0.load(), as: values.type)) }
        guard equal.count == 1 else { return nil }
        return HeadCopy(name: tensor.name, table: equal[0].name, shape: equal[0].shape, isTransposed: false)
    }

    private func isTable(_ tensor: ImportedGraph.Initializer) -> Bool {
        index.sites(of: tensor.name).contains { site in
            let node = index.node(site.use)
            let axis = if case .int(let axis)? = node.attributes["axis"] { axis } else { 0 }
            return node.operatorType == "Gather" && site.use.input == 0 && axis == 0 && !index.isFreeOfData(node)
        }
    }

    /// Whether the tensor is only ever the second operand of a product: true if its columns are the head's outputs,
    /// false if its rows are, nil if it is no head.
    private func head(_ tensor: ImportedGraph.Initializer) -> Bool? {
        guard tensor.shape.count == 2, tensor.dataType.isTrainable, !index.captured.contains(tensor.name) else {
            return nil
        }
        var orientations: Set<Bool> = []
        for site in index.sites(of: tensor.name) {
            let node = index.node(site.use)
            guard site.use.input == 1, !index.captured.contains(site.name) else { return nil }
            switch node.operatorType {
            case "MatMul": orientations.insert(true)
            case "Gemm":
                if case .int(1)? = node.attributes["transB"] {
                    orientations.insert(false)
                } else {
                    orientations.insert(true)
                }
            default: return nil
            }
        }
        return orientations.count == 1 ? orientations.first : nil
    }

    private func isFoldable(_ head: ImportedGraph.Initializer, from table: ImportedGraph.Initializer) -> Bool {
        if head.foldedFrom.isEmpty { return head.exportedKind == nil || table.exportedKind == nil }
        let stated = statedSources(head)
        return stated.isEmpty || stated.contains(table.name)
    }

    /// Whether TorchScript made the head from some tensor in a module that `table`'s own module contains or lies in.
    private func isFoldedBeside(
        _ table: ImportedGraph.Initializer, _ head: ImportedGraph.Initializer, _ scopes: ModuleScopes
    ) -> Bool {
        guard TensorName.isFolded(head.name), !TensorName.isMadeUp(table.name),
            index.graph.exporter.producer == "pytorch", index.graph.exporter.sources.isEmpty
        else { return false }
        let owner = table.name.split(separator: ".").dropLast()
        return index.sites(of: head.name).allSatisfy { site in
            guard let module = scopes[site.use.node]?.split(separator: ".") else { return false }
            return zip(owner, module).allSatisfy { $0 == $1 }
        }
    }

    /// The tensors of the program that the exporter says a tensor was folded from.
    private func statedSources(_ head: ImportedGraph.Initializer) -> [String] {
        head.foldedFrom.filter { graph.exporter.kind(ofTarget: $0) != nil }
    }

    private static func equal(_ head: Constant, to table: Constant, _ copy: HeadCopy) -> Bool {
        guard copy.isTransposed else { return head.isIdentical(to: Constant(viewing: table, as: head.type)) }
        let (rows, columns) = (copy.shape[0], copy.shape[1])
        return withExtendedLifetime((head, table)) {
            let copied = head.bytes.bindMemory(to: Float.self)
            let original = table.bytes.bindMemory(to: Float.self)
            return HeadCopy.everyElement(rows, columns) { row, column in
                copied[column * rows + row] == original[row * columns + column]
            }
        }
    }

    private mutating func tie(_ copy: HeadCopy) {
        let shape = graph.initializers.first { $0.name == copy.name }!.shape
        graph.initializers.removeAll { $0.name == copy.name }
        let opset = index.node(index.sites(of: copy.name)[0].use).opsetVersion
        let name = "\(copy.name) from \(copy.table)"
        func node(
            _ type: String, _ inputs: [String], _ output: String, _ attributes: [String: AttributeValue] = [:]
        ) -> ImportedNode {
            ImportedNode(
                name: name, operatorType: type, opsetVersion: opset, inputs: inputs, outputs: [output],
                attributes: attributes)
        }
        let nodes =
            if copy.isTransposed {
                [node("Transpose", [copy.table], copy.name, ["perm": .ints([1, 0])])]
            } else if shape == copy.shape {
                [node("Identity", [copy.table], copy.name)]
            } else {
                [
                    node(
                        "Constant", [], name + ": shape",
                        ["value": .tensor(Constant(shape.map(Int64.init)), originalType: .int64)]),
                    node("Reshape", [copy.table, name + ": shape"], copy.name),
                ]
            }
        graph.nodes.insert(contentsOf: nodes, at: 0)
    }
}
