public import ONNXFormat
public import Operators
import TensorGraph

extension ImportedGraph {
    /// The graph that a file has after edits that insert no nodes but copies, as if it were written and imported anew: values are
    /// rounded to their tensors' types.
    ///
    /// - Precondition: the edits name tensors of this graph, which was imported from the file as it is.
    public func applying(_ edits: ONNXEdits) -> ImportedGraph {
        precondition(edits.insertions.nodes.allSatisfy(\.copies), "new nodes cannot be inserted into an imported graph")
        var copy = self
        for position in initializers.indices {
            guard let values = edits.values[initializers[position].name] else { continue }
            copy.initializers[position].setValues(values)
        }
        for addition in edits.additions {
            var tensor = initializers.first { $0.name == addition.like }!
            tensor.name = addition.name
            tensor.setValues(addition.values)
            copy.initializers.append(tensor)
        }
        for tensor in edits.insertions.tensors {
            var inserted = Initializer(
                name: tensor.name, dataType: tensor.type, shape: tensor.shape, load: { Constant(tensor.values) })
            inserted.setValues(TensorValues(tensor.values))
            copy.initializers.append(inserted)
        }
        let rewired = Dictionary(grouping: edits.rewirings, by: \.node)
        for position in nodes.indices {
            guard let file = nodes[position].fileNode, let rewirings = rewired[file.position] else { continue }
            for rewiring in rewirings {
                if let input = file.inputs.firstIndex(of: rewiring.input) {
                    copy.nodes[position].inputs[input] = rewiring.name
                } else if rewiring.input == nodes[position].inputs.count {
                    copy.nodes[position].inputs.append(rewiring.name)
                    copy.nodes[position].fileNode!.inputs.append(rewiring.input)
                }
            }
        }
        let inserted = Dictionary(grouping: edits.insertions.nodes, by: \.after)
        copy.nodes = copy.nodes.flatMap { node in
            let copies = (node.fileNode.flatMap { inserted[$0.position] } ?? []).map { insertion in
                var other = node
                (other.name, other.inputs, other.outputs) = (insertion.name, insertion.inputs, insertion.outputs)
                (other.metadata, other.fileNode) = (insertion.metadata, nil)
                return other
            }
            return [node] + copies
        }
        return copy
    }
}

extension ImportedGraph.Initializer {
    fileprivate mutating func setValues(_ values: TensorValues) {
        let (type, shape) = (dataType, shape)
        load = {
            let values = try values.load()
            return switch type {
            case .float16: Constant(values.map { Float(Float16($0)) }, shape: shape)
            case .bfloat16:
                Constant(values.map { Float(bitPattern: UInt32($0.bfloat16BitPattern) << 16) }, shape: shape)
            default: Constant(values, shape: shape)
            }
        }
    }
}

extension FileNode {
    /// Whether the file's node is the imported one, and not a call of the function that it was inlined from.
    func holds(_ node: ImportedNode) -> Bool {
        inputs == node.inputs.indices.map { node.inputs[$0].isEmpty ? nil : $0 } && name == node.name
    }
}
