import Kernels
import TensorGraph

/// ONNX `Hardmax`: one at the first greatest entry, zeros elsewhere. Constant almost everywhere, so no gradient flows.
enum HardmaxOperator {
    static let all: [any OperatorPlugin] =
        [1, 11].map { version in
            StandardOperator("Hardmax", since: version) { node throws(GraphError) in
                // Before opset 13 over all axes from `axis` on, as if the tensor were a matrix.
                let x = try node.input(0)
                let shape = node.shape(x)
                let axis = try normalizedAxis(try node.int("axis", default: 1), rank: shape.count)
                let matrix = try node.builder.view(x, [shape[..<axis].elementCount, shape[axis...].elementCount])
                return [try node.builder.view(try hardmax(matrix, axis: 1, in: &node), shape)]
            }
        }
        + [
            StandardOperator("Hardmax", since: 13) { node throws(GraphError) in
                let x = try node.input(0)
                let axis = try normalizedAxis(try node.int("axis", default: -1), rank: node.shape(x).count)
                return [try hardmax(x, axis: axis, in: &node)]
            }
        ]

    private static func hardmax(_ x: ValueID, axis: Int, in node: inout Expansion) throws(GraphError) -> ValueID {
        let greatest = try node.emit(ArgumentSearch(.max, axis: axis, keepsAxis: false, selectsLast: false), x)
        let encoding = OneHotEncoding(axis: axis, depth: node.shape(x)[axis])
        return try node.emit(encoding, greatest, node.constant(Constant([0, 1] as [Float])))
    }
}
