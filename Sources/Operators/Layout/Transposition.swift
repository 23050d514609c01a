import Kernels
public import TensorGraph

/// Reorders axes: axis k of the output is axis `permutation[k]` of the input.
public struct Transposition: ExecutableOperation, ElementMove {
    public let permutation: [Int]

    public init(permutation: [Int]) { self.permutation = permutation }

    public var description: String { "transpose \(permutation)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard permutation.sorted() == Array(inputs[0].shape.indices) else {
            throw .invalid("\(permutation) is not a permutation of the axes of \(inputs[0])")
        }
        return [inputs[0].with(shape: permutation.map { inputs[0].shape[$0] })]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [BatchRules.transpose(inputs[0], permutation: permutation)]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        return try builder.transpose(gradient, permutation.indices.map { permutation.firstIndex(of: $0)! })
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        guard let input = try builder.collapsed(node.inputs[0], axis: permutation[axis]) else { return nil }
        return try builder.transpose(input, permutation)
    }

    public func isInjective(inputs: [TensorType], constants: [Constant?]) -> Bool { true }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (shape, permutation) = (inputs[0].shape, permutation)
        func prepared<Element: FixedWidthInteger & BitwiseCopyable & Sendable>(_: Element.Type) -> Kernel {
            Kernel { arguments in
                Layout.transpose(
                    arguments.input(0, as: Element.self), shape: shape, permutation: permutation,
                    into: arguments.output(0), pool: arguments.pool)
            }
        }
        return prepared(inputs[0].elementType.carrier)
    }
}
