public import ONNXFormat
public import TensorGraph

/// Reads a model's graph out of its file: attributes decoded, local functions inlined, subgraphs nested.
///
/// Importing never fails on an operator that is not known; expansion reports it.
public struct ModelImporter {
    private let functions: [FunctionKey: ONNXFunction]
    private let exporter: Exporter
    private let statements: [String: Statement]

    /// What the exporter wrote beside a tensor's name.
    private struct Statement {
        var kind: String?
        var foldedFrom: [String] = []
    }

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
        /// Whether nodes here are inside a subgraph, which the file's main graph does not list.
        var isNested = false
        /// The node and attribute that hold the subgraph, in front of the names of nodes that the file leaves unnamed.
        var place = ""
        /// The call in the main graph that is being inlined, and its inputs by the body's names for them.
        var call: (node: FileNode, inputs: [String: Int?])?

        func renamed(_ name: String) -> String {
            name.isEmpty || !isFunction ? name : renaming[name] ?? prefix + name
        }

        /// The same names seen from inside the subgraph of a node's attribute.
        func nested(in node: String, _ attribute: String) -> Scope {
            var copy = self
            copy.isNested = true
            copy.place = "\(node)/\(attribute)/"
            return copy
        }

        /// The call's place, for a node that hands on one of its inputs.
        func passing(_ input: String) -> FileNode? {
            guard var place = call?.node else { return nil }
            place.inputs = [call?.inputs[input] ?? nil]
            return place
        }
    }

    /// - Throws: `ONNXFormatError` for tensors that cannot be decoded, `GraphError` for nodes without an opset.
    public static func importGraph(of model: ONNXModel) throws -> ImportedGraph {
        var opsets: [String: Int] = [:]
        for entry in model.opsetImports { opsets[entry.domain] = entry.version }
        return SampleSorting.removed(from: try ModelImporter(model).importGraph(model.graph, Scope(opsets: opsets)))
    }

    private init(_ model: ONNXModel) {
        functions = Dictionary(
            model.functions.map { (FunctionKey(domain: $0.domain, name: $0.name, overload: $0.overload), $0) },
            uniquingKeysWith: { first, _ in first })
        let graph = model.graph
        let signature = graph.metadata[Exporter.signatureKey] ?? model.metadata[Exporter.signatureKey]
        exporter = Exporter(
            producer: model.producerName, sources: signature.map(Exporter.sources(signature:)) ?? [:],
            isOptimized: model.opsetImports.contains { $0.domain == "com.microsoft" })
        var statements: [String: Statement] = [:]
        for info in graph.valueInfo + graph.inputs {
            let metadata = info.metadata
            guard !metadata.isEmpty else { continue }
            let folded = metadata["pkg.onnxscript.optimizer.folded_from"]
            statements[info.name] = Statement(
                kind: metadata["pkg.torch.export.graph_signature.InputSpec.kind"],
                foldedFrom: folded.map(Exporter.names(list:)) ?? [])
        }
        self.statements = statements
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
        var initializers = graph.initializers.map { importInitializer($0, named: scope.renamed($0.name)) }
        let initialized = Set(graph.initializers.map(\.name))
        var nodes: [ImportedNode] = []
        for (number, node) in graph.nodes.enumerated() {
            if !scope.isNested, let tensor = floatConstant(node) {
                initializers.append(importInitializer(tensor, named: node.outputs[0]))
            } else {
                try importNode(node, number, scope, into: &nodes)
            }
        }
        return ImportedGraph(
            name: graph.name,
            inputs: graph.inputs.filter { !initialized.contains($0.name) }.map { port($0, scope) },
            outputs: graph.outputs.map { port($0, scope) }, initializers: initializers, nodes: nodes,
            exporter: exporter)
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

    private func importInitializer(_ tensor: ONNXTensor, named name: String) -> ImportedGraph.Initializer {
        let decoded = SharedConstant()
        return ImportedGraph.Initializer(
            name: name, dataType: tensor.elementType, shape: tensor.dimensions,
            exportedKind: statements[name]?.kind ?? exporter.kind(ofTarget: name),
            foldedFrom: statements[name]?.foldedFrom ?? []
        ) { try decoded.value { try tensor.constant() } }
    }

    /// The tensor of a `Constant` node that could hold weights.
    private func floatConstant(_ node: ONNXNode) -> ONNXTensor? {
        guard node.opType == "Constant", node.domain.isEmpty, node.outputs.count == 1,
            case .tensor(let tensor)? = node.attribute(named: "value")?.value, tensor.elementType.isTrainable
        else { return nil }
        return tensor
    }

    /// Where the file's main graph has a node, and which of its inputs each input reads.
    private func place(of node: ONNXNode, _ number: Int, _ metadata: [String: String], _ scope: Scope) -> FileNode? {
        guard !scope.isNested else { return nil }
        guard let call = scope.call else {
            return FileNode(
                position: number, name: node.name, metadata: metadata,
                inputs: node.inputs.indices.map { node.inputs[$0].isEmpty ? nil : $0 })
        }
        var place = call.node
        place.inputs = node.inputs.map { call.inputs[$0] ?? nil }
        return place
    }

    private func importNode(_ node: ONNXNode, _ number: Int, _ scope: Scope, into nodes: inout [ImportedNode]) throws {
        let name = node.name.isEmpty ? "\(scope.place)\(node.opType)_\(number)" : node.name
        var attributes: [String: AttributeValue] = [:]
        for attribute in node.attributes { attributes[attribute.name] = try value(of: attribute, in: name, scope) }
        var metadata: [String: String] = [:]
        for entry in node.metadata { metadata[entry.key] = entry.value }
        let place = place(of: node, number, metadata, scope)
        let key = FunctionKey(domain: node.domain, name: node.opType, overload: node.overload)
        if let function = functions[key] {
            try inline(function, node, scope.prefix + name, attributes, scope, place, into: &nodes)
            return
        }
        guard let version = scope.opsets[node.domain] else {
            throw GraphError(
                .invalid, "no opset_import gives a version for its domain '\(node.domain)'",
                at: "node '\(name)' (\(node.opType))")
        }
        nodes.append(
            ImportedNode(
                name: scope.prefix + name, domain: node.domain, operatorType: node.opType, opsetVersion: version,
                inputs: node.inputs.map(scope.renamed), outputs: node.outputs.map(scope.renamed),
                attributes: attributes, metadata: metadata, fileNode: place))
    }

    /// Replaces a call of a local function by its body (ONNX IR spec, "Functions").
    private func inline(
        _ function: ONNXFunction, _ call: ONNXNode, _ name: String, _ attributes: [String: AttributeValue],
        _ scope: Scope, _ place: FileNode?, into nodes: inout [ImportedNode]
    ) throws {
        var inner = Scope(opsets: scope.opsets, prefix: name + "/", isFunction: true, isNested: scope.isNested)
        for entry in function.opsetImports { inner.opsets[entry.domain] = entry.version }
        for attribute in function.attributeDefaults {
            inner.attributes[attribute.name] = try value(of: attribute, in: "", inner)
        }
        inner.attributes.merge(attributes) { _, given in given }
        if let place {
            inner.call = (
                place, Dictionary(zip(function.inputs, place.inputs), uniquingKeysWith: { first, _ in first })
            )
        }
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
                        inputs: [passedThrough], outputs: [scope.renamed(outside)], fileNode: inner.passing(output)))
            } else {
                inner.renaming[output] = scope.renamed(outside)
            }
        }
        for (number, node) in function.nodes.enumerated() { try importNode(node, number, inner, into: &nodes) }
    }

    private func value(of attribute: ONNXAttribute, in node: String, _ scope: Scope) throws -> AttributeValue? {
        switch attribute.value {
        case .int(let value): .int(Int(value))
        case .float(let value): .float(value)
        case .string(let value): .string(value)
        case .ints(let values): .ints(values.map(Int.init))
        case .floats(let values): .floats(values)
        case .strings(let values): .strings(values)
        case .tensor(let tensor) where tensor.elementType.storage == nil: .unread
        case .tensor(let tensor): try .tensor(tensor.constant(), originalType: tensor.elementType)
        case .graph(let graph): try .graph(importGraph(graph, scope.nested(in: node, attribute.name)))
        case .reference(let name): scope.attributes[name]
        case .sparseTensor, .type, .tensors, .graphs, .sparseTensors, .types: .unread
        }
    }
}

extension ONNXTensor {
    /// The tensor as graphs store it.
    /// - Throws: `ONNXFormatError` if its bytes are wrong, `GraphError` if its type is not computed with.
    public func constant() throws -> Constant {
        if elementType == .float32 || elementType == .int64 {
            let type = TensorType(elementType.storage!, dimensions)
            let stored = try withStoredBytes { bytes in Constant(type) { $0.copyMemory(from: bytes) } }
            if let stored { return stored }
        }
        switch elementType.storage {
        case .float32?: return Constant(try floats(), shape: dimensions)
        case .int64?: return Constant(try int64s(), shape: dimensions)
        case .bool?: return Constant(try bools(), shape: dimensions)
        case .float64?, nil:
            throw GraphError(
                .unsupported, "tensors of type \(elementType) are not computed with", at: "tensor '\(name)'")
        }
    }
}
