public import ONNXFormat
public import TensorGraph

/// Reads a model's graph out of its file: attributes decoded, local functions inlined, subgraphs nested.
///
/// Importing never fails on an operator that is not known; expansion reports it.
public struct ModelImporter {
    private let functions: [FunctionKey: ONNXFunction]
    private let kinds: [String: String]

    private struct FunctionKey: Hashable {
        let domain: String
        let name: String
        let overload: String
    }

    /// Names and versions in force where nodes are read: the model's, or those of the function being inlined.
    private struct Scope {
        var opsets: [String: Int]
        /// Prefix that makes names of an inlined function unique.
        var prefix = ""
        /// Names of an enclosing function body and what they are called in the imported graph.
        var renaming: [String: String] = [:]
        var attributes: [String: AttributeValue] = [:]
        var isFunction = false

        func renamed(_ name: String) -> String {
            name.isEmpty || !isFunction ? name : renaming[name] ?? prefix + name
        }
    }

    /// - Throws: `ONNXFormatError` for tensors that cannot be decoded, `GraphError` for nodes without an opset.
    public static func importGraph(of model: ONNXModel) throws -> ImportedGraph {
        var opsets: [String: Int] = [:]
        for entry in model.opsetImports { opsets[entry.domain] = entry.version }
        return try ModelImporter(model).importGraph(model.graph, Scope(opsets: opsets))
    }

    private init(_ model: ONNXModel) {
        functions = Dictionary(
            model.functions.map { (FunctionKey(domain: $0.domain, name: $0.name, overload: $0.overload), $0) },
            uniquingKeysWith: { first, _ in first })
        let key = "pkg.torch.export.graph_signature.InputSpec.kind"
        kinds = Dictionary(
            (model.graph.valueInfo + model.graph.inputs).compactMap { info in
                info.metadata[key].map { (info.name, $0) }
            }, uniquingKeysWith: { first, _ in first })
    }

    private func importGraph(_ graph: ONNXGraph, _ scope: Scope) throws -> ImportedGraph {
        guard graph.sparseInitializers.isEmpty else {
            throw GraphError(
                .unsupported, "sparse initializers cannot be computed with; store the tensor densely",
                at: "initializer '\(graph.sparseInitializers[0].name)'")
        }
        var scope = scope
        if scope.isFunction {
            // A subgraph's own names hide those around it.
            for name in graph.inputs.map(\.name) + graph.initializers.map(\.name) + graph.nodes.flatMap(\.outputs) {
                scope.renaming[name] = nil
            }
        }
        let initializers = try graph.initializers.map { tensor in
            var initializer = try importInitializer(tensor)
            initializer.name = scope.renamed(tensor.name)
            return initializer
        }
        let initialized = Set(graph.initializers.map(\.name))
        var nodes: [ImportedNode] = []
        for (number, node) in graph.nodes.enumerated() { try importNode(node, number, scope, into: &nodes) }
        return ImportedGraph(
            name: graph.name,
            inputs: graph.inputs.filter { !initialized.contains($0.name) }.map { port($0, scope) },
            outputs: graph.outputs.map { port($0, scope) }, initializers: initializers, nodes: nodes)
    }

    private func port(_ info: ONNXValueInfo, _ scope: Scope) -> ImportedGraph.Port {
        ImportedGraph.Port(
            name: scope.renamed(info.name), dataType: info.elementType ?? .float32,
            dimensions: info.dimensions?.map { dimension in
                switch dimension {
                case .fixed(let size): .fixed(Int(size))
                case .symbol(let name): .symbol(name)
                case .unknown: .unknown
                }
            })
    }

    private func importInitializer(_ tensor: ONNXTensor) throws -> ImportedGraph.Initializer {
        ImportedGraph.Initializer(
            name: tensor.name, dataType: tensor.elementType, shape: tensor.dimensions,
            exportedKind: kinds[tensor.name]
        ) { try tensor.constant() }
    }

    private func importNode(_ node: ONNXNode, _ number: Int, _ scope: Scope, into nodes: inout [ImportedNode]) throws {
        let name = node.name.isEmpty ? "\(node.opType)_\(number)" : node.name
        var attributes: [String: AttributeValue] = [:]
        for attribute in node.attributes { attributes[attribute.name] = try value(of: attribute, scope) }
        let key = FunctionKey(domain: node.domain, name: node.opType, overload: node.overload)
        if let function = functions[key] {
            try inline(function, node, scope.prefix + name, attributes, scope, into: &nodes)
            return
        }
        guard let version = scope.opsets[node.domain] else {
            throw GraphError(
                .invalid, "no opset_import gives a version for its domain '\(node.domain)'",
                at: "node '\(name)' (\(node.opType))")
        }
        var metadata: [String: String] = [:]
        for entry in node.metadata { metadata[entry.key] = entry.value }
        nodes.append(
            ImportedNode(
                name: scope.prefix + name, domain: node.domain, operatorType: node.opType, opsetVersion: version,
                inputs: node.inputs.map(scope.renamed), outputs: node.outputs.map(scope.renamed),
                attributes: attributes, metadata: metadata))
    }

    /// Replaces a call of a local function by its body (ONNX IR spec, "Functions").
    private func inline(
        _ function: ONNXFunction, _ call: ONNXNode, _ name: String, _ attributes: [String: AttributeValue],
        _ scope: Scope, into nodes: inout [ImportedNode]
    ) throws {
        var inner = Scope(opsets: scope.opsets, prefix: name + "/", isFunction: true)
        for entry in function.opsetImports { inner.opsets[entry.domain] = entry.version }
        for attribute in function.attributeDefaults { inner.attributes[attribute.name] = try value(of: attribute, inner) }
        inner.attributes.merge(attributes) { _, given in given }
        // Omitted optional inputs stay omitted inside.
        for (index, input) in function.inputs.enumerated() {
            inner.renaming[input] = index < call.inputs.count ? scope.renamed(call.inputs[index]) : ""
        }
        for (output, outside) in zip(function.outputs, call.outputs) where !outside.isEmpty {
            if let passedThrough = inner.renaming[output] {
                // The function returns an input as it is.
                nodes.append(
                    ImportedNode(
                        name: name, operatorType: "Identity", opsetVersion: inner.opsets[""] ?? 1,
                        inputs: [passedThrough], outputs: [scope.renamed(outside)]))
            } else {
                inner.renaming[output] = scope.renamed(outside)
            }
        }
        for (number, node) in function.nodes.enumerated() { try importNode(node, number, inner, into: &nodes) }
    }

    private func value(of attribute: ONNXAttribute, _ scope: Scope) throws -> AttributeValue? {
        switch attribute.value {
        case .int(let value): .int(Int(value))
        case .float(let value): .float(value)
        case .string(let value): .string(value)
        case .ints(let values): .ints(values.map(Int.init))
        case .floats(let values): .floats(values)
        case .strings(let values): .strings(values)
        case .tensor(let tensor) where tensor.elementType.storage == nil: .unread
        case .tensor(let tensor): try .tensor(tensor.constant(), originalType: tensor.elementType)
        case .graph(let graph): try .graph(importGraph(graph, scope))
        case .reference(let name): scope.attributes[name]
        case .sparseTensor, .type, .tensors, .graphs, .sparseTensors, .types: .unread
        }
    }
}

extension ONNXTensor {
    /// The tensor as graphs store it.
    /// - Throws: `ONNXFormatError` if its bytes are wrong, `GraphError` if its type is not computed with.
    public func constant() throws -> Constant {
        switch elementType.storage {
        case .float32?: Constant(try floats(), shape: dimensions)
        case .int64?: Constant(try int64s(), shape: dimensions)
        case .bool?: Constant(try bools(), shape: dimensions)
        case .float64?, nil:
            throw GraphError(.unsupported, "tensors of type \(elementType) are not computed with", at: "tensor '\(name)'")
        }
    }
}
