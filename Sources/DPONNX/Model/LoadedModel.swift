/// A model read from a file, understood as a graph, with what trains by default.
public struct LoadedModel: Sendable {
    public let file: ONNXModel
    public let registry: OperatorRegistry
    /// The graph as it trains, and the way back into the file.
    public private(set) var repaired: RepairedGraph
    /// Adapters that the file does not have; nil if none were added.
    public private(set) var adapters: LowRankAdapters?

    public var graph: ImportedGraph { repaired.graph }

    /// - Parameters:
    ///   - registry: the operators known; add your own to `.standard`.
    ///   - completes: whether calls and biases that the exporter left out are put back.
    ///   - untie: whether tensors that the exporter merged because their values were equal are taken apart.
    ///   - retie: whether heads that were exported as copies of an embedding are tied to it again.
    /// - Throws: `ONNXFormatError` if the file cannot be read or is no model, `GraphError` if its graph cannot be
    ///   imported.
    public init(
        path: String, registry: OperatorRegistry = .standard, completes: Bool = true, untie: Bool = true,
        retie: Bool = true
    ) throws {
        file = try ONNXModel(path: path)
        self.registry = registry
        repaired = try TieRepair.repaired(
            ModelImporter.importGraph(of: file), completes: completes, untie: untie, retie: retie)
    }

    /// The model with low-rank adapters, which its file gets only if they are kept on saving.
    /// - Parameter generator: draws their first values, which count as public.
    /// - Throws: `SelectionError` if a pattern matches no weight that can have an adapter.
    public func adapted(
        by specifications: [AdapterSpecification], generator: any RandomGenerator = SecureRandomGenerator()
    ) throws -> LoadedModel {
        precondition(adapters == nil, "a model is adapted once")
        let adapters = try LowRankAdapters(
            specifications, in: repaired, findings: parameterFindings(), generator: generator)
        var copy = self
        copy.repaired = repaired.with(adapters.graph)
        copy.adapters = adapters
        return copy
    }

    /// What every tensor of the graph is, and why.
    /// - Throws: `ONNXFormatError` if a tensor that has to be looked at cannot be decoded.
    public func parameterFindings() throws -> [ParameterFinding] { try ParameterDiscovery.findings(in: graph) }

    /// Nodes whose operator nobody registered, in graph order.
    public var unsupportedNodes: [ImportedNode] { registry.unsupportedNodes(in: graph) }

    /// What the data must hold for the model's inputs: samples on the first axis of every array.
    public func inputSlots(_ options: InputOptions) -> [DataSet.InputSlot] {
        graph.inputs.map { input in
            var dimensions = input.dimensions
            let axis = options.batchAxes[input.name] ?? 0
            if dimensions?.indices.contains(axis) == true { dimensions!.remove(at: axis) }
            return DataSet.InputSlot(
                name: input.name,
                sampleShape: dimensions?.map { dimension in
                    switch dimension {
                    case .fixed(let size): size
                    case .symbol(let name): options.dimensions[name]
                    case .unknown: nil
                    }
                })
        }
    }

    /// The model at the sizes that a data set has.
    /// - Throws: `GraphError` if data and model do not fit, or a name to be trained is no float initializer.
    public func trainable(
        _ names: [String], for data: DataSet, _ options: InputOptions, dropout: DropoutMode = .off
    ) throws -> TrainableModel {
        try checkBatchAxes(options)
        let shapes = Dictionary(
            uniqueKeysWithValues: graph.inputs.filter { data.contains($0.name) }.map {
                ($0.name, data[$0.name].rowShape)
            })
        let sizes = try InputSizes(
            graph, sampleShapes: shapes, batchAxes: options.batchAxes, dimensions: options.dimensions)
        return try TrainableModel(
            graph, registry: registry, trainable: names, sizes: sizes, dropout: dropout)
    }

    /// The model at the sizes that it and the user give, for runs without data.
    /// - Throws: `GraphError` if a size is not known, or a name to be trained is no float initializer.
    public func trainable(_ names: [String], _ options: InputOptions) throws -> TrainableModel {
        try checkBatchAxes(options)
        let sizes = try InputSizes(
            graph, sampleShapes: [:], batchAxes: options.batchAxes, dimensions: options.dimensions)
        return try TrainableModel(graph, registry: registry, trainable: names, sizes: sizes)
    }

    /// - Throws: `UsageError` if the model has no output of that name.
    public func requireOutput(_ name: String?) throws(UsageError) {
        let known = graph.outputs.map(\.name)
        if let name, !known.contains(name) {
            throw UsageError("the model has no output '\(name)'; it has \(quotedList(known))")
        }
    }

    private func checkBatchAxes(_ options: InputOptions) throws {
        let known = graph.inputs.map(\.name)
        for name in options.batchAxes.keys.sorted() where !known.contains(name) {
            throw UsageError("--batch-axis names '\(name)', but the model's inputs are \(quotedList(known))")
        }
    }
}

/// `'a', 'b'`, or "none".
func quotedList(_ names: [String]) -> String {
    names.isEmpty ? "none" : names.map { "'\($0)'" }.joined(separator: ", ")
}
