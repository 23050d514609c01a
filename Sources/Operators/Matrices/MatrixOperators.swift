import Kernels
import TensorGraph

/// ONNX operators that are matrix products.
enum MatrixOperators {
    static let all: [any OperatorPlugin] =
        [1, 9, 13].map { version in StandardOperator("MatMul", since: version, expand: matMul) }
        + [7, 9, 11, 13].map { version in StandardOperator("Gemm", since: version, expand: gemm) }

    /// numpy.matmul: an operand of rank 1 becomes a row on the left, a column on the right, and its axis is dropped.
    @Sendable
    private static func matMul(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        var (left, right) = (try node.input(0), try node.input(1))
        let (leftShape, rightShape) = (node.shape(left), node.shape(right))
        guard !leftShape.isEmpty, !rightShape.isEmpty else { throw .invalid("an operand of MatMul is a scalar") }
        if leftShape.count == 1 { left = try node.builder.view(left, [1] + leftShape) }
        if rightShape.count == 1 { right = try node.builder.view(right, rightShape + [1]) }
        let product = try product(left, right, in: &node)
        var shape = node.shape(product)
        if rightShape.count == 1 { shape.removeLast() }
        if leftShape.count == 1 { shape.remove(at: shape.count - (rightShape.count == 1 ? 1 : 2)) }
        return [try node.builder.view(product, shape)]
    }

    /// alpha * A' B' + beta * C, C broadcast to the product.
    @Sendable
    static func gemm(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let (a, b) = (try node.input(0), try node.input(1))
        guard node.shape(a).count == 2, node.shape(b).count == 2 else {
            throw .invalid("Gemm multiplies matrices, not \(node.type(a)) and \(node.type(b))")
        }
        let (alpha, beta) = (try node.float("alpha", default: 1), try node.float("beta", default: 1))
        var result = try product(
            a, b, transposingLeft: try node.flag("transA"), transposingRight: try node.flag("transB"), in: &node)
        if alpha != 1 { result = try node.builder.unary(.affine(scale: alpha, offset: 0), result) }
        guard var addend = node.optionalInput(2), beta != 0 else { return [result] }
        guard broadcastedShape([node.shape(result), node.shape(addend)]) == node.shape(result) else {
            throw .invalid("C of shape \(node.shape(addend)) does not broadcast to the product \(node.shape(result))")
        }
        if beta != 1 { addend = try node.builder.unary(.affine(scale: beta, offset: 0), addend) }
        return [try node.builder.add(result, addend)]
    }

    /// The product of two matrices, which is known where one of them is zero: the initial state of a recurrence that is
    /// written out step by step meets weights, and should not make them meet the number of samples.
    private static func product(
        _ left: ValueID, _ right: ValueID, transposingLeft: Bool = false, transposingRight: Bool = false,
        in node: inout Expansion
    ) throws(GraphError) -> ValueID {
        let product = try node.builder.matmul(
            left, right, transposingLeft: transposingLeft, transposingRight: transposingRight)
        let isZero = [left, right].contains { operand in
            node.builder.constant(operand)?.floatValues.allSatisfy { $0 == 0 } == true
        }
        guard isZero, node.builder.graph[product].batch == .free else { return product }
        return node.constant(Constant(node.type(product)) { _ in })
    }
}
