import Operators

/// What a graph alone tells of its program's tensors: their names, and which way they lie.
///
/// A tensor that the exporter did not compute bears its name. The weights of a linear layer, which exporters store turned
/// around, are told by the exporter's own statement (`folded_from`), or by the module that multiplies with them: it is a
/// linear layer if it adds a tensor named after its bias, or has no other tensor. Nothing else is sound enough.
struct RecoveredNames {
    struct Tensor {
        /// Position in the list of the graph's tensors.
        var graph: Int
        /// Name in the program.
        var name: String
        var shape: [Int]
        var copy: ElementCopy
    }

    private(set) var tensors: [Tensor] = []
    /// Tensors of the graph without a name, with the reason.
    private(set) var unnamed: [(graph: Int, reason: String)] = []
    private let graphs: [GraphTensor]

    init(_ graphs: [GraphTensor], _ exporter: Exporter) {
        self.graphs = graphs
        for (position, tensor) in graphs.enumerated() {
            if !tensor.isComputed, !tensor.programNames.isEmpty {
                for name in tensor.programNames.sorted() { add(position, name, isTransposed: false) }
            } else if let name = linearWeight(tensor, exporter) {
                add(position, name, isTransposed: true)
            } else {
                unnamed.append((position, "what '\(tensor.name)' was computed from is not known; give a --reference"))
            }
        }
        let repeated = Dictionary(grouping: tensors, by: \.name).filter { $0.value.count > 1 }
        for (name, tensors) in repeated.sorted(by: { $0.key < $1.key }) {
            for tensor in tensors {
                unnamed.append((tensor.graph, "'\(name)' may be another tensor as well; give a --reference"))
            }
        }
        tensors.removeAll { repeated[$0.name] != nil }
    }

    private mutating func add(_ graph: Int, _ name: String, isTransposed: Bool) {
        let own = StridedView(shape: graphs[graph].shape)
        let view = isTransposed ? own.permuted([1, 0]) : own
        tensors.append(
            Tensor(
                graph: graph, name: name, shape: view.shape,
                copy: ElementCopy(graph: view, state: StridedView(shape: view.shape))))
    }

    /// The name of the matrix whose transpose the tensor is; nil if it is no linear layer's or that is not known.
    private func linearWeight(_ tensor: GraphTensor, _ exporter: Exporter) -> String? {
        let isFactor =
            !tensor.readers.isEmpty && tensor.readers.allSatisfy { $0.operatorType == "MatMul" && $0.input == 1 }
        guard tensor.shape.count == 2, isFactor else { return nil }
        let stated = tensor.foldedFrom.filter { exporter.kind(ofTarget: $0) != nil }
        if !tensor.foldedFrom.isEmpty { return stated.count == 1 ? stated.first : nil }
        guard tensor.modules.count == 1, let module = tensor.modules.first, !module.isEmpty else { return nil }
        let others = graphs.filter { other in
            other.name != tensor.name
                && (other.modules.contains(module) || other.programNames.contains { $0.hasPrefix(module + ".") })
        }
        let addsBias = others.allSatisfy { other in
            other.programNames == ["\(module).bias"] && other.readers.allSatisfy { $0.operatorType == "Add" }
        }
        return addsBias ? "\(module).weight" : nil
    }
}
