import Kernels
public import TensorGraph

extension GraphBuilder {
    /// Puts one node in the place of an activation that is spelled out in several: GELU (by erf and by tanh), SiLU, Mish,
    /// hard swish, sigmoid, softplus and softsign, however they are written (see `ValueCone`).
    ///
    /// A step then keeps the activation's input alone for the backward pass and goes through memory once.
    /// - Parameter loss: only what it depends on is looked at.
    public mutating func fuseActivations(before loss: ValueID) throws(GraphError) {
        try replaceSpelledOut(before: loss, by: SpelledOutActivation.recognize)
    }
}

/// Functions of one float that kernels know and models spell out.
private enum SpelledOutActivation {
    private static let known: [UnaryFunction] = [
        .gelu, .geluTanh, .silu, .mish, .hardSwish, .sigmoid, .softplus, .softsign,
    ]
    /// Dense where the functions bend, and beyond the bounds that models set.
    private static let arguments: [Float] =
        (-32...32).map { Float($0) / 8 } + [1e-3, 5, 6, 7, 9, 12.5, 20, 60, 1e3, 1e6].flatMap { [-$0, $0] }
    private static let values: [[Float]] = known.map { function in
        ConstantFolding.evaluator(Unary(function), [Constant(arguments)], [Constant(arguments).type])![0].floatValues
    }

    static func recognize(_ result: ValueID, _ readers: [ValueID: [Node]], _ graph: Graph) -> (any Operation, ValueID)?
    {
        let rank = graph.type(of: result).rank
        guard rank > 0 else { return nil }
        let cones = ValueCone.all(endingAt: result, readers, in: graph) { $0.operation is any ElementwiseOperation }
        let argument = Constant(arguments, shape: [Int](repeating: 1, count: rank - 1) + [arguments.count])
        for cone in cones.reversed() where cone.nodeCount > 1 {
            let function = zip(known, values).first { cone.computes($1, at: argument, in: graph) }?.0
            if let function { return (Unary(function), cone.root) }
        }
        return nil
    }
}
