import Kernels
import Operators
import TensorGraph
import TestSupport

extension PrivateModel {
    /// A random stack of layers over sequences [B, 3, 4], whose parameters are new ones or those of earlier layers.
    static func random(seed: UInt64) -> PrivateModel {
        var numbers = Numbers(seed: seed)
        var parameters: [(name: String, shape: [Int])] = []
        var layers: [Layer] = []
        for _ in 0..<5 {
            let kind = Layer.Kind.allCases[numbers.integer(below: Layer.Kind.allCases.count)]
            let names = kind.shapes.map { shape in
                let fitting = parameters.filter { $0.shape == shape }
                if !fitting.isEmpty, numbers.integer(below: 2) == 0 {
                    return fitting[numbers.integer(below: fitting.count)].name
                }
                parameters.append(("p\(parameters.count)", shape))
                return parameters.last!.name
            }
            layers.append(Layer(kind: kind, parameters: names))
        }
        let stack = layers
        return PrivateModel(
            name: "random \(seed): \(stack.map { "\($0.kind) \($0.parameters)" })",
            inputs: [.floats("x") { [$0, 3, 4] }, .floats("y") { [$0, 3, 4] }], parameters: parameters, layers: []
        ) { builder, values throws(GraphError) in
            var x = values["x"]!
            for layer in stack {
                x = try builder.unary(.tanh, try layer.emit(x, layer.parameters.map { values[$0]! }, &builder))
            }
            return try builder.squaredLoss(x, values["y"], axes: [1, 2])
        }
    }
}

/// One way for parameters to meet data.
private struct Layer: Sendable {
    enum Kind: Sendable, CaseIterable {
        case linear, transposed, weightOnTheLeft, bias, timeScale, wholeOffset, layerNorm, joined, convolution
        case timeMajor, attention, gatedWeight, rows

        var shapes: [[Int]] {
            switch self {
            case .linear, .transposed, .timeMajor, .rows: [[4, 4]]
            case .weightOnTheLeft: [[3, 3]]
            case .bias: [[4]]
            case .timeScale: [[3, 1]]
            case .wholeOffset: [[3, 4]]
            case .layerNorm: [[4], [4]]
            case .joined: [[4, 2], [4, 2]]
            case .convolution: [[4, 2, 3]]
            case .attention: [[4, 4], [4]]
            case .gatedWeight: [[4, 4], [4]]
            }
        }
    }

    let kind: Kind
    let parameters: [String]

    func emit(_ x: ValueID, _ p: [ValueID], _ builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        let batch = builder.batchSize
        switch kind {
        case .linear: return try builder.matmul(x, p[0])
        case .transposed: return try builder.matmul(x, try builder.transpose(p[0], [1, 0]))
        case .weightOnTheLeft: return try builder.matmul(p[0], x)
        case .bias, .wholeOffset: return try builder.add(x, p[0])
        case .timeScale: return try builder.multiply(x, p[0])
        case .layerNorm: return try builder.layerNorm(x, axis: 2, p[0], p[1])
        case .joined: return try builder.matmul(x, try builder.concatenate(p, axis: 1))
        case .convolution:
            let geometry = ConvolutionGeometry(groups: 2, strides: [1], dilations: [1], padsBegin: [1], padsEnd: [1])
            let channels = try builder.emit(Convolution(geometry), try builder.transpose(x, [0, 2, 1]), p[0])
            return try builder.transpose(channels, [0, 2, 1])
        case .timeMajor:
            let swapped = try builder.transpose(x, [1, 0, 2])
            return try builder.transpose(try builder.matmul(swapped, p[0], transposingRight: true), [1, 0, 2])
        case .attention:
            let queries = try builder.add(try builder.matmul(x, p[0]), p[1])
            let scores = try builder.matmul(queries, x, transposingRight: true)
            return try builder.matmul(try builder.emit(Softmax(.softmax, axis: 2), scores), x)
        case .gatedWeight: return try builder.matmul(x, try builder.multiply(p[0], p[1]))
        case .rows:
            let rows = try builder.matmul(try builder.view(x, [3 * batch, 4]), p[0])
            return try builder.view(rows, [batch, 3, 4])
        }
    }
}
