import Kernels
import Operators
import TensorGraph
import TestSupport

/// A small graph of random operations with data for it. Values stay of moderate size, so that single precision does.
struct RandomGraph {
    let graph: Graph
    let inputs: [String: Constant]
    let parameters: [String: Constant]

    init(seed: UInt64, nodes: Int = 24) throws {
        var numbers = Numbers(seed: seed)
        var builder = GraphBuilder(batchSize: 1, evaluator: ConstantFolding.evaluator)
        var inputs: [String: Constant] = [:]
        var parameters: [String: Constant] = [:]
        var values: [ValueID] = []
        for (index, shape) in [[2, 3, 4], [3, 4], [4, 4], [2, 1, 4], [4]].enumerated() {
            let name = "t\(index)"
            let data = numbers.floats(shape)
            if numbers.integer(below: 3) == 0 {
                parameters[name] = data
                values.append(builder.addParameter(name, data.type))
            } else {
                inputs[name] = data
                values.append(builder.addInput(name, data.type, batch: nil))
            }
        }
        while builder.graph.nodes.count < nodes {
            values += try Self.emit(values, &builder, &numbers)
        }
        // Some results, and perhaps an input or a parameter as it is; what reaches none of them is pruned.
        for index in 0..<4 { builder.addOutput("out\(index)", values[numbers.integer(below: values.count)]) }
        builder.addOutput("last", values.last!)
        graph = builder.finish()
        self.inputs = inputs
        self.parameters = parameters
    }

    private static func emit(_ values: [ValueID], _ builder: inout GraphBuilder, _ numbers: inout Numbers) throws
        -> [ValueID]
    {
        // Recent values more often than old ones, so that chains arise.
        func pick() -> ValueID {
            let range = numbers.integer(below: 2) == 0 ? values.count : min(values.count, 4)
            return values[values.count - 1 - numbers.integer(below: range)]
        }
        let x = pick()
        let shape = builder.shape(of: x)
        let rank = shape.count
        switch numbers.integer(below: 10) {
        case 0:
            let functions: [UnaryFunction] = [.tanh, .sigmoid, .relu, .gelu, .affine(scale: -0.5, offset: 0.25)]
            return [try builder.unary(functions[numbers.integer(below: functions.count)], x)]
        case 1, 2:
            let other = pick()
            guard broadcastedShape([shape, builder.shape(of: other)]) != nil else { return [] }
            let sum = try builder.binary([.add, .sub, .mul, .max][numbers.integer(below: 4)], x, other)
            return [try builder.unary(.tanh, sum)]
        case 3:
            let other = pick()
            let right = builder.shape(of: other)
            guard rank >= 2, right.count >= 2, shape.last == right[right.count - 2],
                broadcastedShape([shape.dropLast(2), right.dropLast(2)].map(Array.init)) != nil
            else { return [] }
            return [try builder.matmul(x, other)]
        case 4:
            return [try builder.transpose(x, Array((0..<rank).reversed()))]
        case 5:
            return [try builder.view(x, numbers.integer(below: 2) == 0 ? [shape.elementCount] : [1] + shape)]
        case 6:
            guard rank > 0 else { return [] }
            return try builder.emitAll(
                RowNormalization(axis: rank - 1, isCentered: numbers.integer(below: 2) == 0, epsilon: 0.1), [x])
        case 7:
            guard rank > 0 else { return [] }
            return [try builder.emit(Softmax(.softmax, axis: numbers.integer(below: rank)), x)]
        case 8:
            guard rank > 0, shape[0] > 1 else { return [] }
            let parts = [try builder.slice(x, axis: 0, 0..<1), try builder.slice(x, axis: 0, 1..<shape[0])]
            return [try builder.concatenate(parts.reversed(), axis: 0)]
        default:
            guard rank > 0, shape[0] > 1 else { return [] }
            let axis = numbers.integer(below: rank)
            let places = builder.addConstant(numbers.integers([2], below: shape[axis]))
            return [
                try builder.emit(Reduction(.mean, axes: [axis], keepsAxes: true), x),
                try builder.emit(Gathering(axis: axis), x, places),
            ]
        }
    }
}
