import Kernels
import ONNXFormat
import TensorGraph
import Testing

@testable import Operators

/// Models around one operator of a file, whose per-sample rules are those of what it expands into.
extension PrivateModel {
    static let operators = [groupedQueries, flexibleAttention, spectrum]

    /// Attention of four query heads that share two heads of keys, with every parameter that it can have, behind a
    /// cache that is filled differently far for each sample.
    static let groupedQueries = PrivateModel(
        name: "grouped queries",
        inputs: [
            .floats("x") { [$0, 3, 4] }, .floats("pastKey") { [$0, 2, 3, 2] }, .floats("pastValue") { [$0, 2, 3, 2] },
            .integers("last", in: 2..<6) { [$0, 1] }, .labels(classes: 3),
        ],
        parameters: [
            ("packed", [4, 16]), ("sink", [4]), ("queryScale", [2]), ("keyScale", [2]), ("bias", [1, 4, 3, 6]),
            ("head", [8, 3]),
        ],
        layers: [["packed"], ["queryScale"], ["keyScale"], ["bias"], ["sink"], ["head"]]
    ) { builder, values throws(GraphError) in
        var named = values
        named["qkv"] = try builder.matmul(values["x"]!, values["packed"]!)
        named["lengths"] = try builder.view(values["last"]!, [builder.batchSize])
        named["total"] = builder.addConstant(Constant([6] as [Int64]))
        let angles = (0..<6).map { Float($0) * 0.7 }
        named["cos"] = builder.addConstant(Constant(angles.map { 1 - $0 * $0 / 20 }, shape: [6, 1]))
        named["sin"] = builder.addConstant(Constant(angles.map { $0 / 5 }, shape: [6, 1]))
        let attended = try builder.expand(
            .node(
                "GroupQueryAttention", "com.microsoft",
                [
                    "qkv", "", "", "pastKey", "pastValue", "lengths", "total", "cos", "sin", "", "bias", "sink", "",
                    "", "queryScale", "keyScale",
                ],
                [
                    "num_heads": .int(4), "kv_num_heads": .int(2), "do_rotary": .int(1), "softcap": .float(2),
                    "local_window_size": .int(3),
                ]), named)
        let pooled = try builder.mean(try builder.unary(.tanh, attended), axes: [1])
        return try builder.classLoss(try builder.matmul(pooled, values["head"]!), values["y"])
    }

    /// Attention whose scores and probabilities pass through graphs that read parameters from around them.
    static let flexibleAttention = PrivateModel(
        name: "flexible attention", inputs: [.floats("x") { [$0, 3, 4] }, .labels(classes: 3)],
        parameters: [("q", [4, 4]), ("kv", [4, 2]), ("bias", [2, 3, 3]), ("gate", [2, 1, 1]), ("head", [4, 3])],
        layers: [["q"], ["kv"], ["bias"], ["gate"], ["head"]]
    ) { builder, values throws(GraphError) in
        let batch = builder.batchSize
        var named = values
        let query = try builder.view(try builder.matmul(values["x"]!, values["q"]!), [batch, 3, 2, 2])
        named["query"] = try builder.transpose(query, [0, 2, 1, 3])
        named["key"] = try builder.view(try builder.matmul(values["x"]!, values["kv"]!), [batch, 1, 3, 2])
        let attended = try builder.expand(
            .node(
                "FlexAttention", "ai.onnx.preview", ["query", "key", "key"],
                [
                    "scale": .float(0.8),
                    "score_mod": .function([.node("Tanh", "", ["given"]), .node("Add", "", ["y", "bias"], to: "z")]),
                    "prob_mod": .function([.node("Mul", "", ["given", "gate"], to: "z")]),
                ]), named)
        let joined = try builder.view(try builder.transpose(attended, [0, 2, 1, 3]), [batch, 3, 4])
        let pooled = try builder.mean(try builder.unary(.tanh, joined), axes: [1])
        return try builder.classLoss(try builder.matmul(pooled, values["head"]!), values["y"])
    }

    /// A learned window, the transform of what it leaves, and a layer on the spectrum.
    static let spectrum = PrivateModel(
        name: "spectrum", inputs: [.floats("x") { [$0, 11, 1] }, .labels(classes: 3)],
        parameters: [("window", [6]), ("rate", [11, 1]), ("head", [4, 3])],
        layers: [["rate"], ["window"], ["head"]]
    ) { builder, values throws(GraphError) in
        var named = values
        named["signal"] = try builder.multiply(values["x"]!, values["rate"]!)
        named["step"] = builder.addConstant(Constant([2] as [Int64], shape: []))
        let frames = try builder.expand(.node("STFT", "", ["signal", "step", "window"], [:]), named)
        let power = try builder.sum(try builder.unary(.square, frames), axes: [3])
        let pooled = try builder.mean(try builder.unary(.tanh, power), axes: [1])
        return try builder.classLoss(try builder.matmul(pooled, values["head"]!), values["y"])
    }
}

extension ImportedNode {
    fileprivate static func node(
        _ operatorType: String, _ domain: String, _ inputs: [String], _ attributes: [String: AttributeValue] = [:],
        to output: String = "y"
    ) -> ImportedNode {
        ImportedNode(
            name: operatorType, domain: domain, operatorType: operatorType, opsetVersion: domain.isEmpty ? 20 : 1,
            inputs: inputs, outputs: [output], attributes: attributes)
    }
}

extension AttributeValue {
    /// A graph that takes `given` and returns `z`.
    fileprivate static func function(_ nodes: [ImportedNode]) -> AttributeValue {
        func port(_ name: String) -> ImportedGraph.Port { .init(name: name, dataType: .float32, dimensions: nil) }
        return .graph(
            ImportedGraph(
                name: "function", inputs: [port("given")], outputs: [port("z")], initializers: [], nodes: nodes))
    }
}

extension GraphBuilder {
    /// The output `y` of a node that reads `values`.
    fileprivate mutating func expand(_ node: ImportedNode, _ values: [String: ValueID]) throws(GraphError) -> ValueID {
        var expander = NodeExpander(.standard, batchSize: batchSize, comparedWith: nil, dropout: .off)
        expander.builder = self
        let scope = NameScope()
        for (name, value) in values { scope[name] = .tensor(value) }
        try expander.expand([node], in: scope)
        self = expander.builder
        return scope["y"]!.tensor!
    }
}
