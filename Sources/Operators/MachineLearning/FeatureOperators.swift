import Kernels
import ONNXFormat
import TensorGraph

/// Operators on features of the domain `ai.onnx.ml` that compute with numbers alone.
enum FeatureOperators {
    static let all: [any OperatorPlugin] = [
        StandardOperator("ArrayFeatureExtractor", since: 1, domain: "ai.onnx.ml", expand: extracted),
        StandardOperator("Binarizer", since: 1, domain: "ai.onnx.ml", expand: binarized),
        StandardOperator("TreeEnsemble", since: 5, domain: "ai.onnx.ml", expand: TreeEnsemble.expand),
    ]

    /// Entries of the last axis by their numbers; a vector counts as one row.
    @Sendable
    private static func extracted(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        var x = try node.input(0)
        let numbers = try node.input(1)
        if node.shape(x).count == 1 { x = try node.builder.view(x, [1] + node.shape(x)) }
        guard let size = node.shape(x).last else { throw .invalid("\(node.type(x)) has no features") }
        if let known = node.builder.constant(numbers) { try checkConstantIndices(known.intValues, size: size) }
        let list = try node.builder.view(numbers, [node.type(numbers).count])
        return [try node.emit(Gathering(axis: node.shape(x).count - 1), x, list)]
    }

    /// 1 where x exceeds the threshold, else 0, in the type of x.
    @Sendable
    private static func binarized(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        let threshold = try node.float("threshold", default: 0)
        let type = try node.elementType(ofInput: 0)
        let compared = try node.builder.convert(x, to: .float32)
        let exceeds = try node.builder.compare(.greater, compared, node.scalar(threshold))
        return [try node.builder.convert(exceeds, to: type)]
    }
}
