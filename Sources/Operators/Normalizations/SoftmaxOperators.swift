import Kernels
import TensorGraph

/// ONNX `Softmax` and `LogSoftmax`.
enum SoftmaxOperators {
    private static let forms: [(String, SoftmaxForm)] = [("Softmax", .softmax), ("LogSoftmax", .logSoftmax)]

    static let all: [any OperatorPlugin] = forms.flatMap { name, form in
        [1, 11].map { version in
            StandardOperator(name, since: version) { node throws(GraphError) in try flattened(&node, form) }
        }
            + [13].map { version in
                StandardOperator(name, since: version) { node throws(GraphError) in try alongAxis(&node, form) }
            }
    }

    /// Before opset 13: over all axes from `axis` on, as if the tensor were a matrix.
    private static func flattened(_ node: inout Expansion, _ form: SoftmaxForm) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let shape = node.shape(x)
        let axis = try normalizedAxis(try node.int("axis", default: 1), rank: shape.count)
        if axis == shape.count - 1 { return [try node.emit(Softmax(form, axis: axis), x)] }
        let matrix = try node.builder.view(x, [shape[..<axis].elementCount, shape[axis...].elementCount])
        return [try node.builder.view(try node.emit(Softmax(form, axis: 1), matrix), shape)]
    }

    private static func alongAxis(_ node: inout Expansion, _ form: SoftmaxForm) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let axis = try normalizedAxis(try node.int("axis", default: -1), rank: node.shape(x).count)
        return [try node.emit(Softmax(form, axis: axis), x)]
    }
}
