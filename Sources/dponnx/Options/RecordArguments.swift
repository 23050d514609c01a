import ArgumentParser
import DPONNX

/// Where a run's account and its checkpoints are kept.
struct RecordArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Account of all runs on your data sets: every step is charged before its noise is drawn.",
            valueName: "file"))
    var ledger: String?

    @Option(help: ArgumentHelp("What the ledger calls the data set; its runs add up.", valueName: "id"))
    var datasetId: String?

    @Option(help: ArgumentHelp("Folder for checkpoints of this run.", valueName: "folder"))
    var checkpoint: String?

    @Option(help: ArgumentHelp("Steps between checkpoints; default: one every five minutes.", valueName: "k"))
    var checkpointSteps: Int?

    @Flag(help: "Go on from the last checkpoint in --checkpoint, with the same options.")
    var resume = false

    func validate() throws {
        guard (ledger != nil) == (datasetId != nil) else {
            throw ValidationError("--ledger and --dataset-id belong together")
        }
        if checkpoint == nil, resume || checkpointSteps != nil {
            throw ValidationError("--resume and --checkpoint-steps need --checkpoint FOLDER")
        }
        if let checkpointSteps, checkpointSteps < 1 { throw ValidationError("--checkpoint-steps must be 1 or more") }
    }

    /// The record of a run; nil if none is asked for.
    ///
    /// - Parameter options: all that the run's numbers depend on.
    /// - Throws: `DataError`.
    func open(_ mechanism: PrivacyMechanism, options: String) throws -> TrainingRecord? {
        if resume {
            return try TrainingRecord(resuming: checkpoint!, mechanism: mechanism, ledger: ledger, options: options)
        }
        if ledger == nil, checkpoint == nil { return nil }
        return try TrainingRecord(
            beginning: mechanism, dataset: datasetId ?? "", ledger: ledger, folder: checkpoint, options: options)
    }
}
