import Foundation
import ONNXFormat
import Operators
import TensorGraph

@testable import Training

/// The committed models of `Fixtures/parameters`, and models written down in tests.
enum ParameterModels {
    static func model(_ name: String) throws -> ONNXModel {
        try ONNXModel(
            path: Bundle.module.resourceURL!.appendingPathComponent("Fixtures/parameters/\(name).onnx").path)
    }

    static func graph(_ name: String) throws -> ImportedGraph { try ModelImporter.importGraph(of: model(name)) }

    static func tensor(
        _ name: String, _ shape: [Int], _ values: [Float], type: ONNXElementType = .float32, kind: String? = nil
    ) -> ImportedGraph.Initializer {
        ImportedGraph.Initializer(name: name, dataType: type, shape: shape, exportedKind: kind) {
            Constant(values, shape: shape)
        }
    }

    /// Numbers that are all different and make no pattern.
    static func irregular(_ shape: [Int], seed: Float = 1) -> [Float] {
        (0..<shape.reduce(1, *)).map { index in
            let value = (Float(index) + seed) * 12.9898
            return (value * value).truncatingRemainder(dividingBy: 3) - 1.5
        }
    }

    /// A graph of nodes given as (type, name, inputs, outputs) in the order of the file, from input `x` to output `y`.
    static func graph(
        _ tensors: [ImportedGraph.Initializer], _ nodes: [(String, String, [String], [String])], producer: String = "",
        domain: String = "", isOptimized: Bool = false, attributes: [String: [String: AttributeValue]] = [:]
    ) -> ImportedGraph {
        let port = { (name: String) in ImportedGraph.Port(name: name, dataType: .float32, dimensions: nil) }
        return ImportedGraph(
            name: "test", inputs: [port("x")], outputs: [port("y")], initializers: tensors,
            nodes: nodes.enumerated().map { position, node in
                ImportedNode(
                    name: node.1, domain: domain, operatorType: node.0, opsetVersion: 20, inputs: node.2,
                    outputs: node.3,
                    attributes: attributes[node.1] ?? [:],
                    fileNode: FileNode(position: position, name: node.1, inputs: node.2.indices.map { $0 }))
            }, exporter: Exporter(producer: producer, isOptimized: isOptimized))
    }
}

extension ImportedGraph {
    func tensor(_ name: String) -> Initializer? { initializers.first { $0.name == name } }

    /// The tensor that an input of a node reads, Identities looked through.
    func tensorRead(by node: String, _ input: Int) -> String {
        var name = nodes.first { $0.name == node }!.inputs[input]
        while let identity = nodes.first(where: { $0.operatorType == "Identity" && $0.outputs == [name] }) {
            name = identity.inputs[0]
        }
        return name
    }
}

extension [ParameterFinding] {
    var parameters: Set<String> { Set(filter(\.isParameter).map(\.name)) }
    subscript(name: String) -> ParameterFinding? { first { $0.name == name } }
}
