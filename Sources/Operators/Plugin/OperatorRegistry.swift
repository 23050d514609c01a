/// The operators a model may use, found by domain, type and the opset version in force.
public struct OperatorRegistry: Sendable {
    private var plugins: [Key: [any OperatorPlugin]] = [:]

    private struct Key: Hashable {
        var domain: String
        var operatorType: String
    }

    public init() {}

    /// Adds operators. One with the identity of an earlier one replaces it.
    public mutating func register(_ operators: [any OperatorPlugin]) {
        for plugin in operators {
            let key = Key(domain: plugin.identity.domain, operatorType: plugin.identity.operatorType)
            var versions = plugins[key, default: []].filter { $0.identity != plugin.identity }
            versions.append(plugin)
            plugins[key] = versions.sorted { $0.identity.sinceVersion < $1.identity.sinceVersion }
        }
    }

    /// The operator that opset `version` means by `operatorType`: the newest that is not newer than `version`.
    public func plugin(domain: String, operatorType: String, version: Int) -> (any OperatorPlugin)? {
        let domain = domain == "ai.onnx" ? "" : domain
        return plugins[Key(domain: domain, operatorType: operatorType)]?.last { $0.identity.sinceVersion <= version }
    }

    /// Every registered identity, sorted by name.
    public var identities: [OperatorIdentity] {
        plugins.values.flatMap { $0.map(\.identity) }.sorted {
            ($0.domain, $0.operatorType, $0.sinceVersion) < ($1.domain, $1.operatorType, $1.sinceVersion)
        }
    }
}
