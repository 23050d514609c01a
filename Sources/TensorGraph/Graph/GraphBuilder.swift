/// Computes the outputs of an operation whose inputs are all constant, or returns nil to leave it in the graph.
public typealias ConstantEvaluator = @Sendable (any Operation, [Constant], [TensorType]) -> [Constant]?

/// Builds a graph node by node: infers types, follows the batch, folds constants and shares equal nodes.
public struct GraphBuilder {
    public private(set) var graph = Graph()
    /// Number of samples that one run of the graph computes.
    public let batchSize: Int
    /// Nodes at which samples meet, in graph order; a node behind another one of them is not listed again.
    public private(set) var mixingNodes: [MixingNode] = []
    /// The model's node that emitted nodes come from.
    public var origin = Origin(operatorType: "", name: "")
    /// Backward nodes combine samples on purpose (a gradient is a sum over them), so their batch is not followed.
    public var followsBatch = true

    private let evaluator: ConstantEvaluator
    private var known: [NodeKey: [ValueID]] = [:]
    /// Values that count samples.
    private var offsets: [ValueID: SampleOffset] = [:]

    private struct NodeKey: Hashable {
        let operation: AnyHashable
        let inputs: [ValueID]
    }

    public init(batchSize: Int, evaluator: @escaping ConstantEvaluator) {
        precondition(batchSize > 0)
        self.batchSize = batchSize
        self.evaluator = evaluator
    }

    // MARK: Leaves

    public mutating func addInput(_ name: String, _ type: TensorType, batch: BatchFactor?) -> ValueID {
        let value = append(type, .input(name: name), batch.map { .factor($0) } ?? .free, dependsOnParameter: false)
        graph.inputs.append((name, value))
        return value
    }

    public mutating func addParameter(_ name: String, _ type: TensorType) -> ValueID {
        let value = append(type, .parameter(name: name), .free, dependsOnParameter: true)
        graph.parameters.append((name, value))
        return value
    }

    public mutating func addConstant(_ constant: Constant) -> ValueID {
        append(constant.type, .constant(constant), .free, dependsOnParameter: false)
    }

    public mutating func addOutput(_ name: String, _ value: ValueID) { graph.outputs.append((name, value)) }

    // MARK: Nodes

    public func type(of value: ValueID) -> TensorType { graph.type(of: value) }
    public func shape(of value: ValueID) -> [Int] { graph.type(of: value).shape }
    public func constant(_ value: ValueID) -> Constant? { graph[value].constant }

    /// Emits one node with a single output.
    public mutating func emit(_ operation: any Operation, _ inputs: ValueID...) throws(GraphError) -> ValueID {
        try emitAll(operation, inputs)[0]
    }

    /// Emits one node and returns all of its outputs.
    /// - Throws: what the shape rule throws, with the node's place.
    public mutating func emitAll(_ operation: any Operation, _ inputs: [ValueID]) throws(GraphError) -> [ValueID] {
        let key = NodeKey(operation: AnyHashable(operation), inputs: inputs)
        if let outputs = known[key] { return outputs }
        let types: [TensorType]
        do {
            types = try operation.outputTypes(for: inputs.map(type(of:)))
            for type in types { try CheckedSize.check(type.shape) }
        } catch {
            throw error.at("\(origin)")
        }
        var outputs = fold(operation, inputs, types)
        if outputs == nil {
            let counted = try counted(operation, inputs)
            if case .own(let value)? = counted {
                outputs = [value]
            } else {
                outputs = append(operation, try singleCopies(operation, inputs, types), types)
                if case .offset(let offset)? = counted { offsets[outputs![0]] = offset }
            }
        }
        known[key] = outputs
        return outputs!
    }

    private mutating func counted(_ operation: any Operation, _ inputs: [ValueID]) throws(GraphError) -> CountedResult?
    {
        guard followsBatch, batchSize > 1, let operation = operation as? any CountingOperation,
            inputs.contains(where: { type(of: $0).elementType == .int64 && graph[$0].batch != .free })
        else { return nil }
        let operands = inputs.map { CountingOperand(value: $0, offset: offsets[$0]) }
        return try operation.counted(operands, in: &self)
    }

    /// The inputs, where the operation broadcasts, with one copy in place of a batch of equal ones.
    ///
    /// Exporters repeat what is the same for every sample (position embeddings, say) as often as the batch is large.
    /// A trainable tensor inside must be seen once per sample, not as rows that belong to one sample each.
    private mutating func singleCopies(_ operation: any Operation, _ inputs: [ValueID], _ types: [TensorType])
        throws(GraphError) -> [ValueID]
    {
        guard followsBatch, batchSize > 1, inputs.contains(where: { graph[$0].batch.factor != nil }) else {
            return inputs
        }
        var result = inputs
        for (index, input) in inputs.enumerated() {
            let value = graph[input]
            guard value.batch == .free, value.dependsOnParameter else { continue }
            for axis in value.type.shape.indices where value.type.shape[axis] == batchSize {
                var candidate = result
                guard let copy = try collapsed(input, axis: axis) else { continue }
                candidate[index] = copy
                guard let found = try? operation.outputTypes(for: candidate.map(type(of:))), found == types,
                    (try? operation.batchFactors(operands(candidate), outputs: types)) != nil
                else { continue }
                result = candidate
                break
            }
        }
        return result
    }

    /// The value with one entry on `axis` in place of several equal ones; nil if they are not known to be equal.
    public mutating func collapsed(_ value: ValueID, axis: Int) throws(GraphError) -> ValueID? {
        let type = type(of: value)
        if type.shape[axis] == 1 { return value }
        if let constant = constant(value) { return constant.collapsed(axis: axis).map { addConstant($0) } }
        guard let node = graph.producer(of: value), value == node.outputs[0], graph[value].batch == .free else {
            return nil
        }
        return try node.operation.collapsed(axis, of: node, in: &self)
    }

    private mutating func fold(_ operation: any Operation, _ inputs: [ValueID], _ types: [TensorType]) -> [ValueID]? {
        let constants = inputs.compactMap(constant)
        // What is too large to be kept is computed when the graph runs.
        guard constants.count == inputs.count, types.allSatisfy({ CheckedSize.fitsConstant($0.shape) }),
            let results = evaluator(operation, constants, types)
        else { return nil }
        return results.map { addConstant($0) }
    }

    private mutating func append(_ operation: any Operation, _ inputs: [ValueID], _ types: [TensorType]) -> [ValueID] {
        let states = followsBatch ? batchStates(operation, inputs, types) : types.map { _ in .free }
        let dependsOnParameter = inputs.contains { graph[$0].dependsOnParameter }
        let number = graph.nodes.count
        let outputs = zip(types, states).enumerated().map { index, output in
            append(
                output.0, .node(number, output: index), output.1,
                dependsOnParameter: dependsOnParameter && output.0.elementType.isFloatingPoint)
        }
        graph.nodes.append(Node(operation: operation, inputs: inputs, outputs: outputs, origin: origin))
        return outputs
    }

    private mutating func append(
        _ type: TensorType, _ source: Value.Source, _ batch: BatchState, dependsOnParameter: Bool
    ) -> ValueID {
        graph.values.append(Value(type: type, source: source, batch: batch, dependsOnParameter: dependsOnParameter))
        return ValueID(index: graph.values.count - 1)
    }

    private mutating func batchStates(_ operation: any Operation, _ inputs: [ValueID], _ types: [TensorType])
        -> [BatchState]
    {
        let states = inputs.map { graph[$0].batch }
        if states.contains(.mixed) { return types.map { _ in .mixed } }
        if states.allSatisfy({ $0 == .free }) { return types.map { _ in .free } }
        if batchSize == 1 {
            // One sample cannot meet another; wherever it lies, it is the whole tensor.
            return types.map { .factor(BatchFactor(axis: 0, outer: 1, inner: $0.shape.first ?? 1)) }
        }
        do {
            return try operation.batchFactors(operands(inputs), outputs: types).map { $0.map { .factor($0) } ?? .free }
        } catch {
            // The node's outputs are the values to be appended next.
            let output = ValueID(index: graph.values.count)
            mixingNodes.append(MixingNode(origin: origin, mixing: error, value: output))
            return types.map { _ in .mixed }
        }
    }

    private func operands(_ inputs: [ValueID]) -> [BatchOperand] {
        inputs.map { input in
            BatchOperand(
                type: type(of: input), factor: graph[input].batch.factor, constant: constant(input),
                batchSize: batchSize)
        }
    }

    /// Lets another operation compute `value`, the only output of its node, as its first output from values that exist
    /// before that node. It must compute the same numbers: samples lie in the value as before.
    /// - Throws: `GraphError` if the operation does not take the inputs.
    public mutating func replaceNode(computing value: ValueID, by operation: any Operation, _ inputs: [ValueID])
        throws(GraphError)
    {
        guard case .node(let number, _) = graph[value].source, graph.nodes[number].outputs == [value] else {
            preconditionFailure("no node computes this value alone")
        }
        let replaced = graph.nodes[number]
        let types: [TensorType]
        do {
            types = try operation.outputTypes(for: inputs.map(type(of:)))
        } catch {
            throw error.at("\(replaced.origin)")
        }
        precondition(types[0] == type(of: value), "\(operation) computes another type than \(replaced.operation)")
        for input in inputs {
            guard case .node(let earlier, _) = graph[input].source else { continue }
            precondition(earlier < number, "\(operation) would read what is computed later")
        }
        let others = types.enumerated().dropFirst().map { output, type in
            append(
                type, .node(number, output: output), graph[value].batch,
                dependsOnParameter: graph[value].dependsOnParameter)
        }
        graph.nodes[number] = Node(
            operation: operation, inputs: inputs, outputs: [value] + others, origin: replaced.origin)
    }

    /// The nodes at which samples meet on the way to `value`; empty if its samples are independent.
    public func mixingNodes(before value: ValueID) -> [MixingNode] {
        guard graph[value].batch == .mixed else { return [] }
        var reaches = [Bool](repeating: false, count: graph.values.count)
        reaches[value.index] = true
        for node in graph.nodes.reversed() where node.outputs.contains(where: { reaches[$0.index] }) {
            for input in node.inputs + node.outputs { reaches[input.index] = true }
        }
        return mixingNodes.filter { reaches[$0.value.index] }
    }

    /// Records that samples meet at the current origin for a reason that no single operation sees, and marks `value`.
    public mutating func markMixed(_ value: ValueID, _ mixing: BatchMixing) {
        guard graph[value].batch != .mixed else { return }
        mixingNodes.append(MixingNode(origin: origin, mixing: mixing, value: value))
        graph.values[value.index].batch = .mixed
    }

    /// Declares where the batch lies in a batch-free value that is repeated once per sample, e.g. an expanded token.
    public mutating func markBatched(_ value: ValueID, _ factor: BatchFactor) {
        precondition(graph[value].batch == .free && factor.batchSize(in: shape(of: value)) == batchSize)
        graph.values[value.index].batch = .factor(factor)
    }

    /// The graph without the nodes that reach no output.
    public func finish() -> Graph { graph.pruned() }
}
