import Kernels
import ONNXFormat
import TensorGraph

/// Reductions, index searches and running sums.
public enum ReductionOperators {
    public static let all: [any OperatorPlugin] = reductions + searches + sums

    /// For each operator the versions whose axes are an attribute, and those whose axes are input 1.
    private static let reductions: [any OperatorPlugin] = [
        ("ReduceSum", .sum, [1, 11], [13]),
        ("ReduceMean", .mean, [1, 11, 13], [18]),
        ("ReduceMax", .max, [1, 11, 12, 13], [18, 20]),
        ("ReduceMin", .min, [1, 11, 12, 13], [18, 20]),
        ("ReduceProd", .prod, [1, 11, 13], [18]),
        ("ReduceL1", .l1, [1, 11, 13], [18]),
        ("ReduceL2", .l2, [1, 11, 13], [18]),
        ("ReduceSumSquare", .sumSquare, [1, 11, 13], [18]),
        ("ReduceLogSum", .logSum, [1, 11, 13], [18, 28]),
        ("ReduceLogSumExp", .logSumExp, [1, 11, 13], [18, 28]),
    ].flatMap { (type: String, function: ReductionFunction, attribute: [Int], input: [Int]) in
        attribute.map { version in
            StandardOperator(type, since: version) { node throws(GraphError) in
                [try reduce(&node, function, axes: try node.ints("axes"))]
            }
        }
            + input.map { version in
                StandardOperator(type, since: version, structuralInputs: [1]) { node throws(GraphError) in
                    [try reduce(&node, function, axes: try node.constantInts(1, "axes"))]
                }
            }
    }

    /// Without axes all of them are meant, or none with `noop_with_empty_axes`; over none, what a function does to
    /// each entry is still done.
    private static func reduce(_ node: inout Expansion, _ function: ReductionFunction, axes named: [Int]?)
        throws(GraphError) -> ValueID
    {
        let x = try node.input(0)
        let rank = node.shape(x).count
        let keepsAxes = try node.flag("keepdims", default: true)
        var axes = try normalizedAxes(named ?? [], rank: rank)
        if axes.isEmpty {
            if try node.flag("noop_with_empty_axes") {
                if [.sum, .mean, .max, .min, .prod].contains(function) { return x }
            } else {
                axes = Array(0..<rank)
            }
        }
        let operation = Reduction(function, axes: axes, keepsAxes: keepsAxes)
        switch (node.type(x).elementType, function) {
        case (.bool, .max), (.bool, .min):
            // Of no entries at all the greatest is the least integer, which stands for false.
            let extreme = try node.emit(operation, try node.builder.convert(x, to: .int64))
            return try node.builder.compare(.greater, extreme, node.builder.integer(0))
        case (.int64, .l2), (.int64, .logSum), (.int64, .logSumExp):
            return try inFloat(&node, x) { x, builder throws(GraphError) in try builder.emit(operation, x) }
        default: return try node.emit(operation, x)
        }
    }

    /// `select_last_index` came with version 12.
    private static let searches: [any OperatorPlugin] = [
        ("ArgMax", .max), ("ArgMin", .min),
    ].flatMap { (type: String, extreme: ArgExtreme) in
        [1, 11, 12, 13].map { version in
            StandardOperator(type, since: version) { node throws(GraphError) in
                let x = try node.input(0)
                let axis = try normalizedAxis(try node.int("axis", default: 0), rank: node.shape(x).count)
                node.outputElementTypes[0] = .int64
                return [
                    try node.emit(
                        ArgumentSearch(
                            extreme, axis: axis, keepsAxis: try node.flag("keepdims", default: true),
                            selectsLast: try node.flag("select_last_index")), x)
                ]
            }
        }
    }

    private static let sums: [any OperatorPlugin] = [11, 14].map { version in
        StandardOperator("CumSum", since: version, structuralInputs: [1]) { node throws(GraphError) in
            let x = try node.input(0)
            guard let axes = try node.constantInts(1, "axis"), axes.count == 1 else {
                throw .invalid("its axis (input 1) must be one number")
            }
            return [
                try node.emit(
                    CumulativeSum(
                        axis: try normalizedAxis(axes[0], rank: node.shape(x).count),
                        excludesSelf: try node.flag("exclusive"), isReversed: try node.flag("reverse")), x)
            ]
        }
    }
}
