import ONNXFormat
import TensorGraph

/// Expands nodes of a model into a graph under construction: those of the main graph, and those of the graphs inside
/// control flow once for each run through them.
struct NodeExpander {
    let registry: OperatorRegistry
    var builder: GraphBuilder
    /// The same expansion at another batch size, if there is one.
    let reference: ExpansionRecord?
    private let dropout: DropoutMode
    private(set) var record = ExpansionRecord()
    private(set) var guesses: RepetitionGuesses

    init(
        _ registry: OperatorRegistry, batchSize: Int, comparedWith reference: ExpansionRecord?, dropout: DropoutMode,
        guesses: RepetitionGuesses = RepetitionGuesses()
    ) {
        self.registry = registry
        self.guesses = guesses
        self.dropout = dropout
        builder = GraphBuilder(batchSize: batchSize, evaluator: ConstantFolding.evaluator)
        self.reference = reference
    }

    /// - Parameter path: prefix of names in the record.
    mutating func expand(_ nodes: [ImportedNode], in scope: NameScope, path: String = "") throws(GraphError) {
        for node in nodes {
            builder.origin = node.origin
            let outputs: [ModelValue]
            do {
                outputs = try expand(node, try inputs(of: node, in: scope), scope, path)
            } catch {
                throw error.at("\(node.origin)")
            }
            if let missing = node.outputs.dropFirst(outputs.count).first(where: { !$0.isEmpty }) {
                throw GraphError(.unsupported, "its output '\(missing)' is not supported", at: "\(node.origin)")
            }
            for (name, value) in zip(node.outputs, outputs) where !name.isEmpty {
                scope[name] = value
                if let value = value.tensor { record.add(path + name, value, in: builder) }
            }
            checkSizes(node, scope, path)
        }
    }

    private func inputs(of node: ImportedNode, in scope: NameScope) throws(GraphError) -> [ModelValue?] {
        var inputs: [ModelValue?] = []
        for name in node.inputs {
            let value = name.isEmpty ? nil : scope[name]
            guard name.isEmpty || value != nil else { throw .invalid("reads '\(name)', which nothing computes") }
            inputs.append(value)
        }
        return inputs
    }

    private mutating func expand(
        _ node: ImportedNode, _ inputs: [ModelValue?], _ scope: NameScope, _ path: String
    ) throws(GraphError) -> [ModelValue] {
        if let structural = StructuralOperator(node) {
            return try expand(structural, node, inputs, scope, path)
        }
        if node.domain.isEmpty, node.operatorType == "Identity", let input = inputs.first, let input,
            input.tensor == nil
        {
            return [input]
        }
        guard
            let plugin = registry.plugin(
                domain: node.domain, operatorType: node.operatorType, version: node.opsetVersion)
        else {
            let name = node.domain.isEmpty ? node.operatorType : "\(node.domain).\(node.operatorType)"
            throw .unsupported("operator \(name) of opset \(node.opsetVersion) is not supported")
        }
        var tensors: [ValueID?] = []
        for (index, input) in inputs.enumerated() {
            guard let input else {
                tensors.append(nil)
                continue
            }
            guard let tensor = input.tensor else { throw .invalid("its input \(index) is no tensor") }
            tensors.append(tensor)
        }
        var expansion = Expansion(
            node: node, inputs: tensors, builder: builder,
            referenceOutputShapes: node.outputs.map { reference?.tensors[path + $0]?.shape },
            guessesRepetition: guesses.allows(node),
            inputElementTypes: node.inputs.map { scope.elementType(of: $0) }, dropout: dropout)
        // The builder has one owner at a time: a second reference would copy the graph at every node.
        builder = GraphBuilder(batchSize: builder.batchSize, evaluator: ConstantFolding.evaluator)
        var outputs = try plugin.expand(&expansion)
        builder = expansion.builder
        for (name, type) in zip(node.outputs, expansion.elementTypes(of: outputs)) {
            scope.setElementType(type, of: name)
        }
        for (index, name) in zip(outputs.indices, node.outputs) {
            let other = reference?.tensors[path + name]?.shape
            outputs[index] = try BatchRepetition.oneCopyPerSample(outputs[index], unlike: other, in: &builder)
        }
        checkNumbers(node, plugin, tensors, outputs, path)
        if reference == nil { guesses.note(node, from: tensors.compactMap(\.self), to: outputs, in: builder.graph) }
        return outputs.map { .tensor($0) }
    }

    // MARK: The batch size as a number

    private var isCompared: Bool { reference != nil && builder.batchSize > 1 }

    /// Marks the outputs of a node that computes with a number which came from the batch size.
    private mutating func checkNumbers(
        _ node: ImportedNode, _ plugin: any OperatorPlugin, _ inputs: [ValueID?], _ outputs: [ValueID], _ path: String
    ) {
        guard isCompared, outputs.contains(where: { builder.constant($0) == nil }) else { return }
        for (index, input) in inputs.enumerated() where !plugin.structuralInputs.contains(index) {
            guard let input, let constant = builder.constant(input),
                let other = reference?.tensors[recordedName(node.inputs[index], path)]?.constant,
                !constant.agrees(with: other)
            else { continue }
            for output in outputs {
                builder.markMixed(
                    output, BatchMixing(axis: nil, "its input \(index) is a number computed from the batch size"))
            }
            return
        }
    }

    /// A name may belong to a graph around the one it is read in.
    private func recordedName(_ name: String, _ path: String) -> String {
        var prefix = Substring(path)
        while reference?.tensors[prefix + name] == nil, !prefix.isEmpty {
            prefix = prefix.dropLast()
            prefix = prefix.lastIndex(of: "\n").map { prefix[...$0] } ?? ""
        }
        return prefix + name
    }

    /// Marks outputs whose sizes depend on the batch size on another axis than that of the samples.
    private mutating func checkSizes(_ node: ImportedNode, _ scope: NameScope, _ path: String) {
        guard isCompared else { return }
        for name in node.outputs {
            guard let output = scope.own[name]?.tensor, let other = reference?.tensors[path + name]?.shape,
                case .factor(let factor) = builder.graph[output].batch
            else { continue }
            let shape = builder.shape(of: output)
            let differing = zip(shape, other).enumerated().filter { $1.0 != $1.1 }.map(\.offset)
            if shape.count != other.count || differing.contains(where: { $0 != factor.axis }) {
                builder.markMixed(
                    output,
                    BatchMixing(axis: differing.first, "the size of its result '\(name)' depends on the batch size"))
            }
        }
    }

    /// Notes which way a node went, and marks its results if it goes another way for another batch size.
    mutating func decided(
        _ decision: Int, _ what: String, _ node: ImportedNode, _ path: String, _ outputs: [ModelValue]
    ) {
        let name = path + node.outputs.joined(separator: ",")
        record.decisions[name] = decision
        guard isCompared, let other = reference?.decisions[name], other != decision else { return }
        for case .tensor(let output) in outputs where builder.constant(output) == nil {
            builder.markMixed(output, BatchMixing(axis: nil, "\(what) depends on the batch size"))
        }
    }

    mutating func note(_ name: String, _ value: ValueID) { record.add(name, value, in: builder) }
}
