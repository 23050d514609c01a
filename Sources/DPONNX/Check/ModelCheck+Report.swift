extension ModelCheck {
    /// What `check --json` prints.
    public var report: some Encodable & Sendable { Report(self) }
}

extension ModelCheck.Problem {
    /// Node, operator and module in words; nil where no node is to blame.
    public var place: String? {
        guard let node else { return nil }
        return "node '\(node)' (\(operatorType ?? "?")\(module.map { " of module '\($0)'" } ?? ""))"
    }
}

private struct Report: Encodable, Sendable {
    struct Operator: Encodable, Sendable {
        var `operator`: String
        var count: Int
        var forward, backward, perSample: String
    }
    struct Parameter: Encodable, Sendable {
        var name: String
        var shape: [Int]
        var trainable: Bool
        var reason: String
        var site, norm: String?
        var cost: Double?
    }
    struct Problem: Encodable, Sendable {
        var node, `operator`, module: String?
        var axis: Int?
        var message: String
    }
    var canTrainPrivately: Bool
    var samplesIndependent: Bool?
    var operators: [Operator]
    var parameters: [Parameter]
    var unreached: [String]
    /// Predicted bytes of one physical batch of B samples: memory_bytes + B * memory_bytes_per_sample.
    var memoryBytes, memoryBytesPerSample: Int?
    var problems: [Problem]

    init(_ check: ModelCheck) {
        canTrainPrivately = check.canTrainPrivately
        samplesIndependent = check.samplesAreIndependent
        unreached = check.unreached
        memoryBytes = check.memory?.fixedBytes
        memoryBytesPerSample = check.memory?.bytesPerSample
        operators = check.operators.map {
            Operator(
                operator: $0.operatorType, count: $0.count, forward: $0.forward.rawValue,
                backward: $0.backward.rawValue, perSample: $0.perSample.rawValue)
        }
        parameters = check.parameters.map {
            Parameter(
                name: $0.name, shape: $0.shape, trainable: $0.isTrainable, reason: $0.reason, site: $0.site,
                norm: $0.norm, cost: $0.cost)
        }
        problems = check.problems.map {
            Problem(
                node: $0.node, operator: $0.operatorType, module: $0.module, axis: $0.axis, message: $0.message)
        }
    }
}
