import Kernels
import Operators
import TensorGraph

extension PrivateModel {
    static let feedforward = [mlp, convolutions, sharedConvolution, frames, rearrangedWeight, mixedUses]

    static let mlp = PrivateModel(
        name: "MLP", inputs: [.floats("x") { [$0, 5] }, .labels(classes: 3)],
        parameters: [("w1", [6, 5]), ("b1", [6]), ("w2", [6, 3]), ("b2", [3])], layers: [["w1", "b1"], ["w2", "b2"]]
    ) { builder, values throws(GraphError) in
        let product = try builder.matmul(values["x"]!, values["w1"]!, transposingRight: true)
        let hidden = try builder.unary(.tanh, try builder.add(product, values["b1"]!))
        return try builder.classLoss(try builder.linear(hidden, values["w2"], values["b2"]), values["y"])
    }

    static let convolutions = PrivateModel(
        name: "convolutions", inputs: [.floats("x") { [$0, 2, 6, 5] }, .labels(classes: 3)],
        parameters: [
            ("k1", [4, 2, 3, 3]), ("c1", [4]), ("k2", [4, 1, 2, 2]), ("c2", [4]), ("w", [4, 3]), ("b", [3]),
        ],
        layers: [["k1", "c1"], ["k2", "c2"], ["w", "b"]]
    ) { builder, values throws(GraphError) in
        let first = ConvolutionGeometry(
            groups: 1, strides: [1, 1], dilations: [1, 1], padsBegin: [1, 0], padsEnd: [1, 1])
        let depthwise = ConvolutionGeometry(
            groups: 4, strides: [2, 1], dilations: [1, 2], padsBegin: [0, 0], padsEnd: [0, 0])
        var x = try builder.emit(Convolution(first), values["x"]!, values["k1"]!)
        x = try builder.unary(.gelu, try builder.add(x, try builder.view(values["c1"]!, [1, 4, 1, 1])))
        x = try builder.emit(Convolution(depthwise), x, values["k2"]!)
        x = try builder.unary(.silu, try builder.add(x, try builder.view(values["c2"]!, [4, 1, 1])))
        let pooled = try builder.mean(x, axes: [2, 3])
        return try builder.classLoss(try builder.linear(pooled, values["w"], values["b"]), values["y"])
    }

    /// One kernel at two layers, whose sites have no common rule.
    static let sharedConvolution = PrivateModel(
        name: "shared convolution", inputs: [.floats("x") { [$0, 3, 7] }, .labels(classes: 3)],
        parameters: [("k", [3, 3, 2])], layers: [["k"]]
    ) { builder, values throws(GraphError) in
        let geometry = ConvolutionGeometry(groups: 1, strides: [1], dilations: [1], padsBegin: [0], padsEnd: [0])
        var x = values["x"]!
        for _ in 0..<2 { x = try builder.unary(.tanh, try builder.emit(Convolution(geometry), x, values["k"]!)) }
        return try builder.classLoss(try builder.sum(x, axes: [2]), values["y"])
    }

    /// Two frames belong to each sample, on the axis of the images.
    static let frames = PrivateModel(
        name: "frames",
        inputs: [.floats("x", factor: BatchFactor(axis: 0, inner: 2)) { [2 * $0, 2, 5] }, .labels(classes: 3)],
        parameters: [("k", [3, 2, 2]), ("c", [3])], layers: [["k", "c"]]
    ) { builder, values throws(GraphError) in
        let geometry = ConvolutionGeometry(groups: 1, strides: [1], dilations: [1], padsBegin: [1], padsEnd: [0])
        let x = try builder.emit(Convolution(geometry), values["x"]!, values["k"]!)
        let hidden = try builder.unary(.tanh, try builder.add(x, try builder.view(values["c"]!, [1, 3, 1])))
        let frames = try builder.view(try builder.sum(hidden, axes: [2]), [builder.batchSize, 2, 3])
        return try builder.classLoss(try builder.sum(frames, axes: [1]), values["y"])
    }

    /// A weight [3, 4, 2] used as [4, 6]: its axes are exchanged before it meets data.
    static let rearrangedWeight = PrivateModel(
        name: "rearranged weight",
        inputs: [.floats("x") { [$0, 3, 4] }, .floats("y") { [$0, 3, 6] }],
        parameters: [("w", [3, 4, 2]), ("b", [2, 3])], layers: [["w", "b"]]
    ) { builder, values throws(GraphError) in
        let moved = try builder.view(try builder.transpose(values["w"]!, [1, 0, 2]), [4, 6])
        let bias = try builder.view(try builder.transpose(values["b"]!, [1, 0]), [6])
        let hidden = try builder.unary(.tanh, try builder.linear(values["x"]!, moved, bias))
        return try builder.squaredLoss(hidden, values["y"], axes: [1, 2])
    }

    /// A vector that is a bias, a scale and a column of weights.
    static let mixedUses = PrivateModel(
        name: "bias, scale and weight in one", inputs: [.floats("x") { [$0, 3, 4] }, .floats("y") { [$0, 3, 1] }],
        parameters: [("v", [4])], layers: [["v"]]
    ) { builder, values throws(GraphError) in
        let scaled = try builder.multiply(try builder.add(values["x"]!, values["v"]!), values["v"]!)
        let column = try builder.view(values["v"]!, [4, 1])
        return try builder.squaredLoss(
            try builder.matmul(try builder.unary(.tanh, scaled), column), values["y"], axes: [1, 2])
    }
}
