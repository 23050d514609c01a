/// Where a run's account and its checkpoints are kept, as a user states it.
public struct RecordRequest: Sendable, Hashable {
    /// The account of all runs, and what it calls the data set; both or none.
    public var ledger: String?
    public var dataset: String?
    /// Most that all runs of the data set may spend together, at the run's delta.
    public var budget: Double?
    /// Folder for checkpoints; nil for none.
    public var folder: String?
    /// Whether the run in that folder goes on.
    public var resumes = false

    public init() {}

    /// Whether anything is recorded.
    public var isAsked: Bool { ledger != nil || folder != nil }

    /// - Throws: `UsageError` if a value is out of range or belongs to one that is not there.
    public func check() throws(UsageError) {
        try require((ledger != nil) == (dataset != nil), "--ledger and --dataset-id belong together")
        try require(budget == nil || ledger != nil, "--dataset-budget needs --ledger and --dataset-id")
        try require(budget.map { $0 > 0 && $0.isFinite }, "--dataset-budget must be positive and finite")
        try require(!resumes || folder != nil, "--resume needs --checkpoint")
    }

    /// The record of a run; nil if none is asked for.
    ///
    /// - Parameter options: all that the run's numbers depend on.
    /// - Throws: `DataError`, `BudgetError`.
    func open(_ mechanism: PrivacyMechanism, privacy: PrivacyRequest, options: String) throws -> TrainingRecord? {
        guard isAsked else { return nil }
        let account = LedgerAccount(
            dataset: dataset ?? "",
            budget: budget.map { DatasetBudget(epsilon: $0, delta: privacy.delta!, accountant: privacy.accountant) })
        if resumes {
            return try TrainingRecord(
                resuming: folder!, mechanism: mechanism, account: account, ledger: ledger, options: options)
        }
        return try TrainingRecord(
            beginning: mechanism, account: account, ledger: ledger, folder: folder, options: options)
    }
}
