import TensorGraph

/// ONNX `Det`.
enum DeterminantOperator {
    static let all: [any OperatorPlugin] = [11, 22].map { version in
        StandardOperator("Det", since: version) { node throws(GraphError) in
            [try node.emit(Determinant(), try node.input(0))]
        }
    }
}
