import ONNXFormat
import Operators

/// A product of data with a weight: `MatMul(x, W)` or `Gemm(x, W, ...)`, the weight transposed on the way or not.
struct LinearProduct: Sendable, Hashable {
    /// Position in the graph's nodes.
    let node: Int
    /// Whether the weight is stored as [outputs, inputs].
    let isTransposed: Bool
    /// What the product computes with in the file.
    let elementType: ONNXElementType

    /// The products that read a matrix; nil if something else reads it, too, or the products do not agree.
    /// - Parameter uses: where it is read; nil for everywhere.
    static func all(
        of tensor: ImportedGraph.Initializer, behind uses: [TensorUse]? = nil, in index: GraphIndex
    ) -> [LinearProduct]? {
        guard tensor.shape.count == 2, tensor.dataType.isTrainable, !index.captured.contains(tensor.name) else {
            return nil
        }
        var products: [LinearProduct] = []
        var waiting = (uses ?? index.uses(of: tensor.name)).map {
            (use: $0, isTransposed: false, type: tensor.dataType)
        }
        while let (use, isTransposed, type) = waiting.popLast() {
            let node = index.node(use)
            switch (node.domain, node.operatorType) {
            case ("", "Identity"), ("", "Cast"), ("", "Transpose"):
                guard let output = node.outputs.first, !index.captured.contains(output),
                    let type = typeMoved(by: node, type)
                else { return nil }
                let flips = node.operatorType == "Transpose"
                waiting += index.uses(of: output).map { ($0, isTransposed != flips, type) }
            case ("", "MatMul"), ("", "Gemm"):
                guard use.input == 1, index.dependsOnData(node.inputs[0]), isPlain(node) else { return nil }
                let flips = node.operatorType == "Gemm" && flag("transB", node)
                products.append(
                    LinearProduct(node: use.node, isTransposed: isTransposed != flips, elementType: type))
            default: return nil
            }
        }
        guard let first = products.first,
            products.allSatisfy({ $0.isTransposed == first.isTransposed && $0.elementType == first.elementType })
        else { return nil }
        return products.sorted { $0.node < $1.node }
    }

    /// The type in which a node hands a matrix on, if it changes nothing else but transposes; nil for other nodes.
    private static func typeMoved(by node: ImportedNode, _ type: ONNXElementType) -> ONNXElementType? {
        switch node.operatorType {
        case "Transpose":
            guard let permutation = node.attributes["perm"] else { return type }
            if case .ints([1, 0]) = permutation { return type }
            return nil
        case "Cast":
            guard case .int(let number)? = node.attributes["to"], let type = ONNXElementType(rawValue: Int32(number)),
                type.isTrainable
            else { return nil }
            return type
        default: return type
        }
    }

    /// Whether the adapter's own product can be added to the result as it is.
    private static func isPlain(_ node: ImportedNode) -> Bool {
        guard node.operatorType == "Gemm" else { return true }
        if case .float(let alpha)? = node.attributes["alpha"], alpha != 1 { return false }
        return !flag("transA", node)
    }

    private static func flag(_ name: String, _ node: ImportedNode) -> Bool {
        if case .int(let value)? = node.attributes[name] { return value != 0 }
        return false
    }
}
