public import PrivacyAccounting

/// The runs of a ledger whose costs add up: those on one data set that protect the same unit.
public struct LedgerTotal: Sendable, Hashable {
    public let dataset: String
    public let unit: String
    /// In the order of the ledger.
    public let runs: [LedgerRun]

    public var events: [PrivacyEvent] { runs.map(\.event) }

    /// What the total holds for. Where N is declared, taking a unit's contribution out is the same as removing the unit, so
    /// one run that counted N from the data makes it zero-out for all.
    public var adjacency: Adjacency {
        runs.contains { $0.adjacency == .zeroOut } ? .zeroOut : .addOrRemoveOne
    }

    /// By data set, then by unit.
    public static func all(_ runs: [LedgerRun]) -> [LedgerTotal] {
        Dictionary(grouping: runs) { [$0.dataset, $0.unit] }
            .map { LedgerTotal(dataset: $0[0], unit: $0[1], runs: $1) }
            .sorted { ($0.dataset, $0.unit) < ($1.dataset, $1.unit) }
    }
}
