import Kernels
import TensorGraph

/// Comparisons, truth values and choices.
public enum LogicOperators {
    public static let all: [any OperatorPlugin] = comparisons + logic + tests

    private static let comparisons: [any OperatorPlugin] = [
        ("Equal", .equal, [7, 11, 13, 19]), ("Less", .less, [7, 9, 13]), ("Greater", .greater, [7, 9, 13]),
        ("LessOrEqual", .lessOrEqual, [12, 16]), ("GreaterOrEqual", .greaterOrEqual, [12, 16]),
    ].flatMap { (type: String, function: ComparisonFunction, versions: [Int]) in
        versions.map { version in
            StandardOperator(type, since: version) { node throws(GraphError) in
                [try node.builder.compare(function, try node.input(0), try node.input(1))]
            }
        }
    }

    private static let logic: [any OperatorPlugin] =
        [("And", .and), ("Or", .or), ("Xor", .xor)].map { (type: String, function: LogicalFunction) in
            StandardOperator(type, since: 7) { node throws(GraphError) in
                [try node.builder.logical(function, try node.input(0), try node.input(1))]
            }
        }
        + [StandardOperator("Not", since: 1) { node throws(GraphError) in [try node.emit(Not(), try node.input(0))] }]
        + [9, 16].map { version in
            StandardOperator("Where", since: version) { node throws(GraphError) in
                [try node.builder.select(try node.input(0), try node.input(1), try node.input(2))]
            }
        }

    private static let tests: [any OperatorPlugin] =
        [9, 13, 20].map { version in
            StandardOperator("IsNaN", since: version) { node throws(GraphError) in
                [try node.emit(FloatTest(.isNaN), try node.input(0))]
            }
        }
        + [10, 20].map { version in
            StandardOperator("IsInf", since: version) { node throws(GraphError) in
                let test = FloatTest.Property.isInfinite(
                    positive: try node.flag("detect_positive", default: true),
                    negative: try node.flag("detect_negative", default: true))
                return [try node.emit(FloatTest(test), try node.input(0))]
            }
        }
}
