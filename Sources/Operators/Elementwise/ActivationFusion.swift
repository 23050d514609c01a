import Kernels
public import TensorGraph

extension GraphBuilder {
    /// Puts one node in the place of an activation that is spelled out in several: GELU (by erf and by tanh), SiLU, Mish,
    /// hard swish, sigmoid, softplus and softsign, however they are written (see `ValueCone`).
    ///
    /// A step then keeps the activation's input alone for the backward pass and goes through memory once.
    /// - Parameter loss: only what it depends on is looked at.
    public mutating func fuseActivations(before loss: ValueID) throws(GraphError) {
        let readers = graph.readers(before: loss)
        for node in graph.nodes
        where node.operation is any ElementwiseOperation && readers[node.output] != nil {
            guard type(of: node.output).elementType == .float32, type(of: node.output).rank > 0 else { continue }
            let cones = ValueCone.all(endingAt: node.output, readers, in: graph) {
                $0.operation is any ElementwiseOperation
            }
            for cone in cones.reversed() {
                guard let function = SpelledOutActivation.function(cone, in: graph) else { continue }
                if (node.operation as? Unary)?.function != function {
                    try replaceNode(computing: node.output, by: Unary(function), [cone.root])
                }
                break
            }
        }
    }
}

/// Functions of one float that kernels know and models spell out.
enum SpelledOutActivation {
    private static let known: [UnaryFunction] = [
        .gelu, .geluTanh, .silu, .mish, .hardSwish, .sigmoid, .softplus, .softsign,
    ]
    /// Dense where the functions bend, and beyond the bounds at which clips and cubes matter.
    private static let arguments: [Float] =
        (-32...32).map { Float($0) / 8 } + [-20, -12.5, -9, -7, -6, -5, 5, 6, 7, 9, 12.5, 20] + [-1e-3, 1e-3]
    private static let values: [[Float]] = known.map { function in
        ConstantFolding.evaluator(Unary(function), [Constant(arguments)], [Constant(arguments).type])![0].floatValues
    }

    /// The known function that a cone computes.
    static func function(_ cone: ValueCone, in graph: Graph) -> UnaryFunction? {
        let rank = graph.type(of: cone.root).rank
        let shape = [Int](repeating: 1, count: rank - 1) + [arguments.count]
        guard let found = cone.value(at: Constant(arguments, shape: shape), in: graph) else { return nil }
        return zip(known, values).first { agree(found, $1) }?.0
    }
}
