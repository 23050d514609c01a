import Kernels
public import TensorGraph

extension GraphBuilder {
    /// Puts one node in the place of a normalisation over the last axes that is spelled out in several: layer
    /// normalisation, RMS normalisation and softmax, however they are written (see `ValueCone`). Scales and biases stay
    /// nodes of their own.
    /// - Parameter loss: only what it depends on is looked at.
    public mutating func fuseRowOperations(before loss: ValueID) throws(GraphError) {
        try replaceSpelledOut(before: loss, by: SpelledOutRows.recognize)
    }
}

/// Operations on rows that kernels know and models spell out.
private enum SpelledOutRows {
    static func recognize(_ result: ValueID, _ readers: [ValueID: [Node]], _ graph: Graph) -> (any Operation, ValueID)?
    {
        let shape = graph.type(of: result).shape
        var reduced: [Int]?
        let cones = ValueCone.all(endingAt: result, readers, in: graph) { node in
            guard let reduction = node.operation as? Reduction else {
                return node.operation is any ElementwiseOperation
            }
            guard reduction.keepsAxes, reduced == nil || reduced == reduction.axes else { return false }
            reduced = reduction.axes
            return true
        }
        guard let axes = reduced, let axis = axes.first, axis > 0, axes == Array(axis..<shape.count),
            shape[axis...].elementCount > 1
        else { return nil }
        for cone in cones.reversed() {
            if let operation = operation(cone, shape, axis, graph) { return (operation, cone.root) }
        }
        return nil
    }

    private static func operation(_ cone: ValueCone, _ shape: [Int], _ axis: Int, _ graph: Graph) -> (any Operation)? {
        let rows = ProbeRows(count: shape[axis...].elementCount)
        if axis == shape.count - 1 {
            let operation = Softmax(.softmax, axis: axis)
            if computes(operation, cone, shape, axis, rows.forSoftmax, graph) { return operation }
        }
        for epsilon in Set(cone.scalars) where epsilon > 0 && epsilon < 0.1 {
            for isCentered in [true, false] {
                let operation = RowNormalization(axis: axis, isCentered: isCentered, epsilon: epsilon)
                if computes(operation, cone, shape, axis, rows.forNormalization(epsilon), graph) { return operation }
            }
        }
        return nil
    }

    private static func computes(
        _ operation: any Operation, _ cone: ValueCone, _ shape: [Int], _ axis: Int, _ rows: [[Float]], _ graph: Graph
    ) -> Bool {
        let argument = Constant(
            rows.flatMap(\.self), shape: [rows.count] + shape[1..<axis].map { _ in 1 } + shape[axis...])
        guard let types = try? operation.outputTypes(for: [argument.type]),
            let expected = ConstantFolding.evaluator(operation, [argument], types)?[0].floatValues
        else { return false }
        return cone.computes(expected, at: argument, in: graph)
    }
}

/// Rows of numbers at which operations on rows differ.
private struct ProbeRows {
    /// Numbers from -1 to 1.5 without a pattern: multiples of the golden ratio, less their whole parts.
    private let mixed: [Float]
    /// A single one: where normalised numbers are largest.
    private let spike: [Float]

    init(count: Int) {
        mixed = (1...count).map { index in
            Float((Double(index) * 0.618_033_988_749_894_9).truncatingRemainder(dividingBy: 1) * 2.5 - 1)
        }
        spike = (0..<count).map { $0 == count / 2 ? 1 : 0 }
    }

    /// So small that epsilon counts, and so large that it does not.
    func forNormalization(_ epsilon: Float) -> [[Float]] {
        [1, epsilon.squareRoot(), 1e4].map { scale in mixed.map { $0 * scale } } + [spike, spike.map { -$0 }]
    }

    /// Far from zero, where a bound or an addend to the sum of powers shows.
    var forSoftmax: [[Float]] {
        [1, 10, 1e3].map { scale in mixed.map { $0 * scale } } + [-60, 60].map { shift in mixed.map { $0 + shift } }
    }
}
