/// The operators of a registry as a page of text, one row per operator: what `docs/operators.md` holds.
public struct OperatorTable {
    private struct Row {
        var domain: String
        var operatorType: String
        var versions: String
        var support: TrainingSupport
    }

    private let rows: [Row]

    public init(_ registry: OperatorRegistry) {
        let byName = Dictionary(grouping: registry.identities) { "\($0.domain)\n\($0.operatorType)" }
        var rows = byName.values.map { identities in
            let newest = identities.last!
            return Row(
                domain: newest.domain, operatorType: newest.operatorType,
                versions: identities.map { "\($0.sinceVersion)" }.joined(separator: ", "),
                support: registry.plugin(
                    domain: newest.domain, operatorType: newest.operatorType, version: newest.sinceVersion)!
                    .trainingSupport)
        }
        rows += StructuralOperator.allCases.map {
            Row(
                domain: $0.domain, operatorType: $0.rawValue, versions: "all",
                support: StandardTrainingSupport.support(of: $0.rawValue, domain: $0.domain))
        }
        self.rows = rows.sorted { ($0.domain, $0.operatorType) < ($1.domain, $1.operatorType) }
    }

    /// A Markdown page.
    public var markdown: String {
        let lines = rows.map { row in
            let (gradient, rule) =
                switch row.support {
                case .gradient(let parameters): ("yes", parameters)
                case .forwardOnly(let reason): ("no", reason)
                }
            let domain = row.domain.isEmpty ? "ai.onnx" : row.domain
            return "| \(domain) | \(row.operatorType) | \(row.versions) | yes | \(gradient) | \(rule) |"
        }
        return """
            # Operators

            What a model may consist of, made from the registry by `make operators-table`. A version is the one of the
            operator set from which on a form of the operator holds; the newest that is not newer than the model's applies.
            Gradients flow to inputs of float type only. Parameters are followed through arithmetic among themselves; the
            last column says how the gradient of each sample is found where one meets data, or why nothing in front of the
            operator can be trained through it. "By its operations": the operator expands into matrix products, lookups,
            moves and elementwise operations, whose rules apply.

            | domain | operator | versions | forward | gradient | parameters |
            |---|---|---|---|---|---|
            \(lines.joined(separator: "\n"))

            """
    }
}
