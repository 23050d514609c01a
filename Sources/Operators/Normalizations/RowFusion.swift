import Kernels
public import TensorGraph

extension GraphBuilder {
    /// Puts one node in the place of a normalisation over the last axes that is spelled out in several: layer
    /// normalisation, RMS normalisation and softmax, however they are written (see `ValueCone`). Scales and biases stay
    /// nodes of their own.
    /// - Parameter loss: only what it depends on is looked at.
    public mutating func fuseRowOperations(before loss: ValueID) throws(GraphError) {
        let readers = graph.readers(before: loss)
        for node in graph.nodes
        where node.operation is any ElementwiseOperation && readers[node.output] != nil {
            guard let (operation, root) = SpelledOutRows.operation(computing: node.output, readers, in: graph) else {
                continue
            }
            try replaceNode(computing: node.output, by: operation, [root])
        }
    }
}

/// Operations on rows that kernels know and models spell out.
private enum SpelledOutRows {
    static func operation(computing result: ValueID, _ readers: [ValueID: [Node]], in graph: Graph) -> (
        any Operation, ValueID
    )? {
        let shape = graph.type(of: result).shape
        guard graph.type(of: result).elementType == .float32 else { return nil }
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
        if axis == shape.count - 1, computes(Softmax(.softmax, axis: axis), cone, shape, axis, scales: [1, 10], graph) {
            return Softmax(.softmax, axis: axis)
        }
        for epsilon in Set(cone.scalars) where epsilon > 0 && epsilon < 0.1 {
            for isCentered in [true, false] {
                let operation = RowNormalization(axis: axis, isCentered: isCentered, epsilon: epsilon)
                if computes(operation, cone, shape, axis, scales: [1, epsilon.squareRoot()], graph) {
                    return operation
                }
            }
        }
        return nil
    }

    /// Whether a cone computes what `operation` does, on one row of numbers of each scale.
    private static func computes(
        _ operation: any Operation, _ cone: ValueCone, _ shape: [Int], _ axis: Int, scales: [Float], _ graph: Graph
    ) -> Bool {
        let count = shape[axis...].elementCount
        // Numbers from -1 to 1.5 without a pattern: multiples of the golden ratio, less their whole parts.
        let row = (0..<count).map { index in
            Float((Double(index + 1) * 0.618_033_988_749_894_9).truncatingRemainder(dividingBy: 1) * 2.5 - 1)
        }
        let rows = [scales.count] + shape[1..<axis].map { _ in 1 } + shape[axis...]
        let argument = Constant(scales.flatMap { scale in row.map { scale * $0 } }, shape: rows)
        guard let types = try? operation.outputTypes(for: [argument.type]),
            let expected = ConstantFolding.evaluator(operation, [argument], types)?[0].floatValues,
            let found = cone.value(at: argument, in: graph)
        else { return false }
        return agree(found, expected)
    }
}
