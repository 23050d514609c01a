import TensorGraph

/// ONNX operators that decide what is computed rather than compute: control flow, functions given as graphs, and
/// sequences and optionals of tensors. They leave no node of their own in a graph.
enum StructuralOperator: String, CaseIterable {
    case conditional = "If"
    case loop = "Loop"
    case scan = "Scan"
    case sequenceConstruct = "SequenceConstruct"
    case sequenceEmpty = "SequenceEmpty"
    case sequenceAt = "SequenceAt"
    case sequenceInsert = "SequenceInsert"
    case sequenceErase = "SequenceErase"
    case sequenceLength = "SequenceLength"
    case sequenceMap = "SequenceMap"
    case concatFromSequence = "ConcatFromSequence"
    case splitToSequence = "SplitToSequence"
    case optional = "Optional"
    case optionalHasElement = "OptionalHasElement"
    case optionalGetElement = "OptionalGetElement"
    case flexAttention = "FlexAttention"

    init?(_ node: ImportedNode) {
        self.init(rawValue: node.operatorType)
        guard domain == (node.domain == "ai.onnx" ? "" : node.domain) else { return nil }
    }

    var domain: String { self == .flexAttention ? "ai.onnx.preview" : "" }
}

extension OperatorRegistry {
    /// Nodes whose operator nobody registered, in graph order, with those of the graphs inside nodes.
    public func unsupportedNodes(in graph: ImportedGraph) -> [ImportedNode] {
        graph.nodesWithBodies.filter { node in
            StructuralOperator(node) == nil
                && plugin(domain: node.domain, operatorType: node.operatorType, version: node.opsetVersion) == nil
        }
    }
}

extension NodeExpander {
    mutating func expand(
        _ kind: StructuralOperator, _ node: ImportedNode, _ inputs: [ModelValue?], _ scope: NameScope, _ path: String
    ) throws(GraphError) -> [ModelValue] {
        switch kind {
        case .conditional: try conditional(node, inputs, scope, path)
        case .loop: try loop(node, inputs, scope, path)
        case .scan: try scan(node, inputs, scope, path)
        case .sequenceMap: try sequenceMap(node, inputs, scope, path)
        case .flexAttention: try flexAttention(node, inputs, scope, path)
        case .optional:
            [.optional(inputs.first ?? nil)]
        case .optionalHasElement:
            [.tensor(builder.addConstant(Constant([content(inputs.first ?? nil) != nil], shape: [])))]
        case .optionalGetElement:
            try [element(inputs.first ?? nil)]
        default: try [sequence(kind, node, inputs)]
        }
    }

    /// What an optional holds; a value that is no optional holds itself.
    private func content(_ value: ModelValue?) -> ModelValue? {
        if case .optional(let content)? = value { return content }
        return value
    }

    private func element(_ value: ModelValue?) throws(GraphError) -> ModelValue {
        guard let content = content(value) else { throw .invalid("takes the element of an empty optional") }
        return content
    }

    /// The graph that an attribute holds.
    func body(_ name: String, of node: ImportedNode) throws(GraphError) -> ImportedGraph {
        guard case .graph(let body)? = node.attributes[name] else { throw .invalid("attribute '\(name)' is no graph") }
        return body
    }

    func tensor(_ index: Int, _ inputs: [ModelValue?]) throws(GraphError) -> ValueID {
        guard index < inputs.count, let value = inputs[index] else { throw .invalid("input \(index) is missing") }
        guard let tensor = value.tensor else { throw .invalid("its input \(index) is no tensor") }
        return tensor
    }

    /// A number that must be known before the graph runs; nil if the input is omitted.
    func number(_ index: Int, _ inputs: [ModelValue?], _ meaning: String) throws(GraphError) -> Int? {
        guard index < inputs.count, inputs[index] != nil else { return nil }
        return try number(try tensor(index, inputs), meaning)
    }

    /// - Throws: `GraphError`, of kind `mixesSamples` if the number is computed from samples: then one sample's result
    ///   would depend on others.
    func number(_ value: ValueID, _ meaning: String) throws(GraphError) -> Int {
        if let constant = builder.constant(value) {
            guard let number = constant.intValues.first, constant.type.count == 1 else {
                throw .invalid("its \(meaning) is no single number")
            }
            return number
        }
        if builder.graph[value].batch != .free {
            throw GraphError(
                .mixesSamples,
                "mixes the samples of a batch: its \(meaning) is computed from them and decides for all at once, so no "
                    + "per-sample gradient exists; compute both ways and choose with Where")
        }
        throw .unsupported("its \(meaning) is computed from data; it must be known from the sizes alone")
    }
}
