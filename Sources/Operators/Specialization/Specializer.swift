import TensorGraph

/// Expands a model's nodes into primitive operations at concrete sizes.
///
/// The model is expanded at the run's batch size and, where its inputs allow another one, first at a reference batch
/// size. Numbers and sizes that differ between the two were computed from the batch size: they may say how large
/// something is, but not enter values, or else a sample's result would depend on the presence of others.
public struct Specializer: Sendable {
    private let model: ImportedGraph
    private let registry: OperatorRegistry
    private let trainable: Set<String>

    /// - Parameter trainable: initializers that become parameters of the graph; all others are constants.
    public init(_ model: ImportedGraph, registry: OperatorRegistry, trainable: Set<String>) {
        self.model = model
        self.registry = registry
        self.trainable = trainable
    }

    /// What is known of a named tensor at the reference batch size.
    private struct Reference {
        var shape: [Int]
        var constant: Constant?
    }

    /// - Parameter reference: the same run at another batch size, or nil if the model fixes the batch size.
    /// - Throws: `GraphError` naming the node that cannot be expanded, or what `Initializer.load` throws.
    public func specialize(_ sizes: RunSizes, reference: RunSizes?) throws -> SpecializedModel {
        var known: [String: Reference] = [:]
        if let reference {
            precondition(reference.batchSize != sizes.batchSize)
            let model = try expand(reference, comparedWith: nil)
            for (name, value) in model.values {
                known[name] = Reference(shape: model.builder.shape(of: value), constant: model.builder.constant(value))
            }
        }
        return try expand(sizes, comparedWith: reference == nil ? nil : known)
    }

    private func expand(_ sizes: RunSizes, comparedWith reference: [String: Reference]?) throws -> SpecializedModel {
        var builder = GraphBuilder(batchSize: sizes.batchSize, evaluator: ConstantFolding.evaluator)
        var values: [String: ValueID] = [:]
        let needed = neededNodes()
        for input in model.inputs {
            guard let shape = sizes.inputShapes[input.name] else {
                throw GraphError(.invalid, "no shape is given for it", at: "input '\(input.name)'")
            }
            guard let type = input.dataType.storage else {
                throw GraphError(
                    .unsupported, "inputs of type \(input.dataType) are not computed with", at: "input '\(input.name)'")
            }
            values[input.name] =
                if sizes.batchFreeInputs.contains(input.name) {
                    builder.addInput(input.name, TensorType(type, shape), batch: nil)
                } else {
                    try addInput(input.name, TensorType(type, shape), sizes.batchAxis(of: input.name), &builder)
                }
        }
        let readNames = Set(needed.flatMap(\.inputs)).union(model.outputs.map(\.name))
        for initializer in model.initializers where readNames.contains(initializer.name) {
            values[initializer.name] =
                if trainable.contains(initializer.name) {
                    builder.addParameter(initializer.name, TensorType(.float32, initializer.shape))
                } else {
                    builder.addConstant(try initializer.load())
                }
        }
        for node in needed { try expand(node, &values, &builder, reference, sizes) }
        var outputs: [(name: String, value: ValueID)] = []
        for output in model.outputs {
            guard let value = values[output.name] else {
                throw GraphError(.invalid, "no node computes it", at: "output '\(output.name)'")
            }
            outputs.append((output.name, value))
        }
        return SpecializedModel(builder: builder, values: values, outputs: outputs)
    }

    /// Adds an input that is fed with samples first, and moves the samples to the axis where the model wants them.
    private func addInput(_ name: String, _ type: TensorType, _ axis: Int, _ builder: inout GraphBuilder)
        throws(GraphError) -> ValueID
    {
        guard type.shape.indices.contains(axis) else {
            throw GraphError(.invalid, "has no axis \(axis) that could hold the batch", at: "input '\(name)'")
        }
        var fed = type.shape
        fed.remove(at: axis)
        let input = builder.addInput(
            name, type.with(shape: [type.shape[axis]] + fed), batch: BatchFactor(axis: 0))
        var permutation = Array(1..<type.rank)
        permutation.insert(0, at: axis)
        return try builder.transpose(input, permutation)
    }

    /// The nodes that reach an output.
    private func neededNodes() -> [ImportedNode] {
        var names = Set(model.outputs.map(\.name))
        var kept: [ImportedNode] = []
        for node in model.nodes.reversed() where node.outputs.contains(where: names.contains) {
            names.formUnion(node.inputs)
            kept.append(node)
        }
        return kept.reversed()
    }

    private func expand(
        _ node: ImportedNode, _ values: inout [String: ValueID], _ builder: inout GraphBuilder,
        _ reference: [String: Reference]?, _ sizes: RunSizes
    ) throws(GraphError) {
        let plugin = registry.plugin(domain: node.domain, operatorType: node.operatorType, version: node.opsetVersion)
        guard let plugin else {
            let name = node.domain.isEmpty ? node.operatorType : "\(node.domain).\(node.operatorType)"
            throw GraphError(
                .unsupported, "operator \(name) of opset \(node.opsetVersion) is not supported", at: "\(node.origin)")
        }
        var inputs: [ValueID?] = []
        for name in node.inputs {
            guard name.isEmpty || values[name] != nil else {
                throw GraphError(.invalid, "reads '\(name)', which nothing computes", at: "\(node.origin)")
            }
            inputs.append(name.isEmpty ? nil : values[name])
        }
        builder.origin = node.origin
        var expansion = Expansion(
            node: node, inputs: inputs, builder: builder,
            referenceOutputShapes: node.outputs.map { reference?[$0]?.shape })
        // The builder has one owner at a time: a second reference would copy the graph at every node.
        builder = GraphBuilder(batchSize: sizes.batchSize, evaluator: ConstantFolding.evaluator)
        let outputs: [ValueID]
        do {
            outputs = try plugin.expand(&expansion)
        } catch {
            throw error.at("\(node.origin)")
        }
        builder = expansion.builder
        for (name, value) in zip(node.outputs, outputs) where !name.isEmpty { values[name] = value }
        if let missing = node.outputs.dropFirst(outputs.count).first(where: { !$0.isEmpty }) {
            throw GraphError(.unsupported, "its output '\(missing)' is not supported", at: "\(node.origin)")
        }
        if let reference, builder.batchSize > 1 {
            checkBatchSizeIsNoNumber(node, plugin, inputs, values, &builder, reference)
        }
    }

    // MARK: The batch size as a number

    private func checkBatchSizeIsNoNumber(
        _ node: ImportedNode, _ plugin: any OperatorPlugin, _ inputs: [ValueID?], _ values: [String: ValueID],
        _ builder: inout GraphBuilder, _ reference: [String: Reference]
    ) {
        let outputs = node.outputs.compactMap { name in values[name].map { (name, $0) } }
        guard outputs.contains(where: { builder.constant($0.1) == nil }) else { return }
        for (index, input) in inputs.enumerated() where !plugin.structuralInputs.contains(index) {
            guard let input, let constant = builder.constant(input), let other = reference[node.inputs[index]]?.constant
            else { continue }
            if !Self.agree(constant, other) {
                for (_, output) in outputs {
                    builder.markMixed(
                        output, BatchMixing(axis: nil, "its input \(index) is a number computed from the batch size"))
                }
                return
            }
        }
        for (name, output) in outputs {
            guard let other = reference[name]?.shape, case .factor(let factor) = builder.graph[output].batch else {
                continue
            }
            let shape = builder.shape(of: output)
            let differing = zip(shape, other).enumerated().filter { $1.0 != $1.1 }.map(\.offset)
            if shape.count != other.count || differing.contains(where: { $0 != factor.axis }) {
                builder.markMixed(
                    output,
                    BatchMixing(axis: differing.first, "the size of its result '\(name)' depends on the batch size"))
            }
        }
    }

    /// Whether two constants agree where both have entries; one that merely has more rows for more samples does.
    private static func agree(_ left: Constant, _ right: Constant) -> Bool {
        if left === right || left.isIdentical(to: right) { return true }
        guard left.type.rank == right.type.rank, left.type.elementType == right.type.elementType else { return false }
        if left.type.shape == right.type.shape { return false }
        let shared = zip(left.type.shape, right.type.shape).map { min($0, $1) }
        let size = left.type.elementType.size
        var position = [Int](repeating: 0, count: shared.count)
        let leftStrides = left.type.shape.rowMajorStrides
        let rightStrides = right.type.shape.rowMajorStrides
        for _ in 0..<shared.elementCount {
            let a = zip(position, leftStrides).reduce(0) { $0 + $1.0 * $1.1 } * size
            let b = zip(position, rightStrides).reduce(0) { $0 + $1.0 * $1.1 } * size
            if !left.bytes[a..<a + size].elementsEqual(right.bytes[b..<b + size]) { return false }
            for axis in shared.indices.reversed() {
                position[axis] += 1
                if position[axis] < shared[axis] { break }
                position[axis] = 0
            }
        }
        return true
    }
}
