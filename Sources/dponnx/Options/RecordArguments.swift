import ArgumentParser
import DPONNX

/// Where a run's account and its checkpoints are kept.
struct RecordArguments: ParsableArguments {
    @OptionGroup var account: LedgerArguments

    @Option(help: ArgumentHelp("What the ledger calls the data set; its runs add up.", valueName: "id"))
    var datasetId: String?

    @Option(
        help: ArgumentHelp(
            "Most that all runs of the data set in the ledger may spend together, at --delta; a run that would exceed it is refused.",
            valueName: "epsilon"))
    var datasetBudget: Double?

    @Option(
        help: ArgumentHelp(
            "Write a fingerprint of the data into the ledger, keyed by this file's bytes (16 or more, secret).",
            valueName: "file"))
    var fingerprintKey: String?

    @Option(help: ArgumentHelp("Folder for checkpoints of this run.", valueName: "folder"))
    var checkpoint: String?

    @Option(help: ArgumentHelp("Steps between checkpoints; default: one every five minutes.", valueName: "k"))
    var checkpointSteps: Int?

    @Flag(help: "Go on from the last checkpoint in --checkpoint, with the same options.")
    var resume = false

    func validate() throws {
        guard (account.ledger != nil) == (datasetId != nil) else {
            throw ValidationError("--ledger and --dataset-id belong together")
        }
        if account.ledger == nil, datasetBudget != nil || fingerprintKey != nil {
            throw ValidationError("--dataset-budget and --fingerprint-key need --ledger FILE --dataset-id ID")
        }
        if let datasetBudget, !(datasetBudget > 0 && datasetBudget.isFinite) {
            throw ValidationError("--dataset-budget must be positive and finite")
        }
        if checkpoint == nil, resume || checkpointSteps != nil {
            throw ValidationError("--resume and --checkpoint-steps need --checkpoint FOLDER")
        }
        if let checkpointSteps, checkpointSteps < 1 { throw ValidationError("--checkpoint-steps must be 1 or more") }
    }

    /// The mechanism that is left to run, which is another one where a run of correlated noise is resumed.
    /// - Throws: `DataError`.
    func resumed(_ mechanism: PrivacyMechanism) throws -> PrivacyMechanism {
        resume ? try TrainingRecord.resumed(mechanism, in: checkpoint!, ledger: account.ledger) : mechanism
    }

    /// The record of a run; nil if none is asked for.
    ///
    /// - Parameter options: all that the run's numbers depend on.
    /// - Throws: `DataError`, `BudgetError`.
    func open(_ mechanism: PrivacyMechanism, data: DataSet, privacy: PrivacyArguments, options: String) throws
        -> TrainingRecord?
    {
        guard account.ledger != nil || checkpoint != nil else { return nil }
        let entry = LedgerAccount(
            dataset: datasetId ?? "",
            fingerprint: try fingerprintKey.map {
                data.fingerprint(key: try LedgerAccount.fingerprintKey(path: $0))
            },
            budget: datasetBudget.map {
                DatasetBudget(epsilon: $0, delta: privacy.delta!, accountant: privacy.accountant)
            })
        if resume {
            return try TrainingRecord(
                resuming: checkpoint!, mechanism: mechanism, account: entry, ledger: account.ledger, options: options)
        }
        return try TrainingRecord(
            beginning: mechanism, account: entry, ledger: account.ledger, folder: checkpoint, options: options)
    }
}
