extension ModelCheck {
    /// Sizes tried for dimensions that neither the model nor the user gives: token counts first, image sides last.
    private static let sizesToTry = [16, 32, 64, 224, 256, 8, 1]

    /// Examines a model without data: a sample's loss is taken to be the mean of its part of one output.
    ///
    /// - Parameters:
    ///   - trainable: initializers that are to train.
    ///   - output: the output that the loss will read; nil for the first.
    /// - Throws: what reading an initializer throws; everything else is reported as a problem.
    public init(
        _ model: LoadedModel, trainable: [String], options: InputOptions, output: String? = nil,
        clipping: ClippingOptions = ClippingOptions()
    ) throws {
        var analysis = Analysis(model, trainable)
        do {
            try analysis.run(options, output, clipping, Self.sizesToTry)
        } catch let error as GraphError {
            analysis.add(error)
        }
        self = try analysis.result(trainable)
    }
}

/// The state of one examination.
private struct Analysis {
    private var check = ModelCheck()
    private let model: LoadedModel
    private let trainable: [String]
    /// Origins of nodes through which gradients flow, and of those where parameters meet data.
    private var differentiated: Set<Origin> = []
    private var sites: Set<Origin> = []
    private var step: PrivateStep?
    private var isExpanded = false
    private static let batchSize = 2

    init(_ model: LoadedModel, _ trainable: [String]) {
        self.model = model
        self.trainable = trainable
    }

    mutating func run(
        _ options: InputOptions, _ output: String?, _ clipping: ClippingOptions, _ sizesToTry: [Int]
    ) throws {
        for node in model.unsupportedNodes {
            check.problems.append(
                ModelCheck.Problem(
                    node: node.origin.name, operatorType: node.operatorType,
                    message: "operator \(node.operatorType) of opset \(node.opsetVersion) is not supported"))
        }
        guard check.problems.isEmpty else { return }
        guard let name = output ?? model.graph.outputs.first?.name else {
            throw GraphError.invalid("the model has no output")
        }
        let (specialized, fitted) = try specialized(options, sizesToTry)
        isExpanded = true
        guard let value = specialized[name] else {
            throw GraphError(.invalid, "the model has no output of that name", at: "output '\(name)'")
        }
        let mixing = specialized.builder.mixingNodes(before: value)
        check.samplesAreIndependent = mixing.isEmpty
        for node in mixing {
            check.problems.append(
                ModelCheck.Problem(
                    node: node.origin.name, operatorType: node.origin.operatorType, axis: node.mixing.axis,
                    message: node.error.message))
        }
        guard mixing.isEmpty else { return }
        let specification = LossSpecification(.output(name))
        let loss = try specification.append(to: specialized, targetShape: nil)
        collectOrigins(loss)
        let made = try PrivateStep(loss.builder, loss: loss.loss, options: clipping)
        check.unreached = made.unreached
        step = made
        check.memory = try memory(made, fitted, specification, clipping)
    }

    /// What two batch sizes need tells what a sample needs.
    private func memory(
        _ step: PrivateStep, _ fitted: TrainableModel, _ loss: LossSpecification, _ clipping: ClippingOptions
    ) throws -> ModelCheck.Memory {
        let pool = ThreadPool(threads: 1)
        let bytes = try Plan.predictedBytes(step.graph, pool: pool)
        let size = fitted.sizes.batchSize(wished: Self.batchSize)
        let larger = fitted.sizes.batchSize(wished: 2 * Self.batchSize)
        guard larger > size else { return ModelCheck.Memory(fixedBytes: 0, bytesPerSample: bytes / size) }
        let graph = try loss.append(to: fitted.specialized(batchSize: larger), targetShape: nil)
        let more = try Plan.predictedBytes(
            PrivateStep(graph.builder, loss: graph.loss, options: clipping).graph, pool: pool)
        let perSample = max(more - bytes, 0) / (larger - size)
        return ModelCheck.Memory(fixedBytes: max(bytes - size * perSample, 0), bytesPerSample: perSample)
    }

    /// The model at the first sizes that fit it.
    private mutating func specialized(
        _ options: InputOptions, _ sizesToTry: [Int]
    ) throws -> (SpecializedModel, TrainableModel) {
        var firstError: GraphError?
        for size in sizesToTry {
            let sizes = try InputSizes(
                model.graph, sampleShapes: [:], batchAxes: options.batchAxes, dimensions: options.dimensions,
                defaultSize: size)
            let fitted = try TrainableModel(model.graph, registry: model.registry, trainable: trainable, sizes: sizes)
            do {
                let specialized = try fitted.specialized(batchSize: sizes.batchSize(wished: Self.batchSize))
                if sizes.assumedDimensions { check.assumedSize = size }
                return (specialized, fitted)
            } catch let error as GraphError {
                firstError = firstError ?? error
                if !sizes.assumedDimensions { break }
            }
        }
        throw firstError!
    }

    private mutating func collectOrigins(_ loss: LossGraph) {
        let graph = loss.builder.graph
        var reachesLoss = [Bool](repeating: false, count: graph.values.count)
        reachesLoss[loss.loss.index] = true
        for node in graph.nodes.reversed() where node.outputs.contains(where: { reachesLoss[$0.index] }) {
            for input in node.inputs { reachesLoss[input.index] = true }
            guard node.outputs.contains(where: { graph[$0].dependsOnParameter && graph[$0].batch != .free }) else {
                continue
            }
            if node.inputs.contains(where: { graph[$0].dependsOnParameter && graph[$0].batch != .free }) {
                differentiated.insert(node.origin)
            }
            if node.inputs.contains(where: { graph[$0].dependsOnParameter && graph[$0].batch == .free }) {
                sites.insert(node.origin)
            }
        }
    }

    mutating func add(_ error: GraphError) {
        let node = model.graph.nodesWithBodies.first { "\($0.origin)" == error.place }
        if error.kind == .mixesSamples { check.samplesAreIndependent = false }
        check.problems.append(
            ModelCheck.Problem(
                node: node?.origin.name, operatorType: node?.operatorType,
                message: node == nil ? error.description : error.message))
    }

    func result(_ trainable: [String]) throws -> ModelCheck {
        var check = check
        let scopes = ModuleScopes(model.graph)
        for index in check.problems.indices {
            let blamed = check.problems[index].node
            let node = model.graph.nodes.firstIndex { $0.withBodies.contains { $0.origin.name == blamed } }
            check.problems[index].module = node.flatMap { scopes[$0] }.flatMap { $0.isEmpty ? nil : $0 }
        }
        check.operators = operatorRows()
        check.nodes = ModelCheck.nodeRows(
            model.graph, differentiated: differentiated, sites: sites,
            unsupported: Set(model.unsupportedNodes.map(\.origin)), blamed: Set(check.problems.compactMap(\.node)))
        check.parameters = parameterRows(Set(trainable), try model.parameterFindings())
        return check
    }

    private func operatorRows() -> [ModelCheck.OperatorRow] {
        let unsupported = Set(model.unsupportedNodes.map(\.origin))
        let blamed = Set(check.problems.compactMap(\.node))
        return Dictionary(grouping: model.graph.nodesWithBodies, by: \.operatorType).map { type, nodes in
            func support(_ needed: Set<Origin>) -> ModelCheck.Support {
                guard isExpanded else { return .unknown }
                // A node with graphs does what the nodes in them do.
                let concerned = nodes.flatMap { $0.withBodies.map(\.origin) }.filter(needed.contains)
                if concerned.isEmpty { return step == nil && needed.isEmpty ? .unknown : .notNeeded }
                if step != nil { return .yes }
                return concerned.contains { blamed.contains($0.name) } ? .no : .unknown
            }
            return ModelCheck.OperatorRow(
                operatorType: type, count: nodes.count,
                forward: nodes.contains { unsupported.contains($0.origin) } ? .no : .yes,
                backward: support(differentiated), perSample: support(sites))
        }.sorted { ($1.count, $0.operatorType) < ($0.count, $1.operatorType) }
    }

    private func parameterRows(_ trainable: Set<String>, _ findings: [ParameterFinding]) -> [ModelCheck.ParameterRow] {
        let reasons = Dictionary(findings.map { ($0.name, $0.reason) }, uniquingKeysWith: { first, _ in first })
        var rules: [String: PrivateStep.Rule] = [:]
        for rule in step?.rules ?? [] { for name in rule.parameters { rules[name] = rule } }
        return model.graph.initializers.filter { $0.dataType.storage == .float32 }.map { initializer in
            let rule = rules[initializer.name]
            return ModelCheck.ParameterRow(
                name: initializer.name, shape: initializer.shape, isTrainable: trainable.contains(initializer.name),
                reason: reasons[initializer.name] ?? "",
                site: rule?.site, norm: rule?.norm,
                cost: rule.map { $0.norm == "ghost" ? $0.cost.ghost ?? $0.cost.instantiate : $0.cost.instantiate })
        }
    }
}
