public import ONNXFormat
public import Operators
import TensorGraph

/// A model whose parameters are tied as in the program that was exported, and the way back into its file.
public struct RepairedGraph: Sendable {
    /// The model to train.
    public private(set) var graph: ImportedGraph
    /// What was changed, one line each, for the user to see.
    public let notes: [String]
    /// Other names of the graph's tensors: what the exported program called an untied tensor whose name the file needs
    /// for something else, and the copies of embedding tables.
    public let otherNames: [String: String]
    private let split: [SplitCall]
    private let restored: [DroppedBias]
    private let untied: [UntiedTensor]
    private let copies: [HeadCopy]

    init(
        _ graph: ImportedGraph, split: [SplitCall], restored: [DroppedBias], untied: [UntiedTensor],
        copies: [HeadCopy], notes: [String]
    ) {
        self.graph = graph
        self.split = split
        self.restored = restored
        self.untied = untied
        self.copies = copies
        self.notes = notes
        var names: [String: String] = [:]
        for tensor in untied { names[tensor.knownAs ?? tensor.name] = tensor.name }
        for copy in copies { names[copy.name] = copy.table }
        otherNames = names.filter { $0.key != $0.value }
    }

    /// The same model with nodes and tensors added to its graph, such as adapters, that its file does not have.
    public func with(_ graph: ImportedGraph) -> RepairedGraph {
        var copy = self
        copy.graph = graph
        return copy
    }

    /// What writing trained tensors changes in the file: their values, a new initializer for each tensor that was untied
    /// and now differs from what it was merged with or that the exporter had left out, and both copies of an embedding
    /// table that a head shares.
    ///
    /// - Parameter values: new values, row by row, by names of `graph`'s tensors.
    /// - Throws: `ONNXFormatError` if an untied tensor that keeps its values cannot be decoded.
    public func edits(values: [String: [Float]]) throws -> ONNXEdits { try edits(values.mapValues(TensorValues.init)) }

    /// The same for values that are made when they are written.
    public func edits(_ values: [String: TensorValues]) throws -> ONNXEdits {
        var values = values
        for copy in copies {
            guard let table = values[copy.table] else { continue }
            values[copy.name] = TensorValues(count: table.count) { () throws(ONNXFormatError) in
                copy.values(of: try table.load())
            }
        }
        var edits = ONNXEdits()
        edits.values = values
        for call in split {
            let names = call.tensors.map(\.name)
            let own = graph.nodes.first { $0.fileNode?.position == call.node.position }!.inputs
            for name in names { edits.values[name] = nil }
            guard (names + own).contains(where: { values[$0] != nil }) else { continue }
            for tensor in call.tensors {
                let new = try values[tensor.name]?.load() ?? tensor.load().floatValues
                edits.insertions.tensors.append(
                    .init(name: tensor.name, type: tensor.dataType, shape: tensor.shape, values: new))
            }
            edits.insertions.nodes.append(
                .init(
                    after: call.node.position, copies: true, operatorType: call.copy.operatorType, name: call.copy.name,
                    inputs: call.copy.inputs, outputs: call.copy.outputs, metadata: call.copy.metadata))
            edits.rewirings += call.rewirings
        }
        for bias in restored {
            guard let new = values[bias.name] else { continue }
            if bias.isNew {
                edits.values[bias.name] = nil
                edits.insertions.tensors.append(
                    .init(name: bias.name, type: bias.type, shape: bias.shape, values: try new.load()))
            }
            edits.rewirings += bias.rewirings
        }
        for tensor in untied {
            edits.values[tensor.name] = nil
            guard values[tensor.name] != nil || values[tensor.original] != nil else { continue }
            let new = try values[tensor.name] ?? TensorValues(initialValues(of: tensor))
            edits.additions.append(ONNXEdits.Addition(name: tensor.name, like: tensor.original, values: new))
            edits.rewirings += tensor.rewirings
        }
        return edits
    }

    /// What an untied tensor is before training. One that is a copy of a table is not in the graph any more; it equals
    /// the tensor that it was merged with.
    private func initialValues(of tensor: UntiedTensor) throws -> [Float] {
        for name in [tensor.name, tensor.original] {
            if let initializer = graph.initializers.first(where: { $0.name == name }) {
                return try initializer.load().floatValues
            }
        }
        throw GraphError(.invalid, "its values before training are not in the model", at: "tensor '\(tensor.original)'")
    }
}
