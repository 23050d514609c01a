import Glibc
public import PrivacyAccounting

/// Where a run writes down what it has spent and how far it has come: its line in a ledger and, optionally, a folder with
/// a checkpoint from which it can be resumed.
///
/// No more steps are ever charged than the mechanism has, so that what the statement says covers a run however often it
/// was killed. Steps after the last checkpoint are taken again on resuming, with batches and noise of their own, and the
/// run ends that many steps short.
///
/// Correlated noise is charged as a whole when a run begins. It cannot be taken up again, so what is left of an interrupted
/// run is a further mechanism, charged as a whole too.
public final class TrainingRecord {
    /// Steps that may still be charged.
    public var stepsLeft: Int { mechanism.bands == nil ? mechanism.steps - charged : wholeLeft }
    /// Steps charged, including those that were lost.
    public var charged: Int { ledger.runs.first { $0.id == id }!.charged }

    /// What the user should know of earlier runs on the data.
    public let notes: [String]

    private let ledger: PrivacyLedger
    private let mechanism: PrivacyMechanism
    private let folder: String?
    private let id: String
    /// Steps not yet taken of correlated noise that was charged by this process.
    private var wholeLeft = 0

    /// Begins a run.
    ///
    /// - Parameters:
    ///   - account: what the ledger enters it under.
    ///   - ledger: path of the ledger; nil for one in the folder.
    ///   - folder: where checkpoints go; created if it does not exist. One of the two is given.
    ///   - options: all that the run's numbers depend on, in words; a run is resumed with the same only.
    /// - Throws: `DataError` if the ledger or folder cannot be written, is in use or holds a run already; `BudgetError` if
    ///   the run would cost more than is left.
    public init(
        beginning mechanism: PrivacyMechanism, account: LedgerAccount, ledger path: String?, folder: String?,
        options: String
    ) throws {
        self.mechanism = mechanism
        self.folder = folder
        if let folder {
            guard mkdir(folder, 0o700) == 0 || fileKind(folder) == .folder else {
                throw DataError(.cannotCreate, "cannot be created: \(systemMessage(errno))", at: .init(file: folder))
            }
            if fileKind(Self.runFile(folder)) != .absent {
                throw DataError(
                    .cannotCreate, "holds a run already; continue it with --resume, or choose another folder",
                    at: .init(file: folder))
            }
        }
        ledger = try PrivacyLedger(path: Self.ledgerPath(path, folder))
        notes = account.notes(on: ledger.runs, unit: mechanism.unit)
        let others = ledger.runs.filter { $0.dataset == account.dataset }
        try account.budget?.check(others, and: mechanism, dataset: account.dataset)
        id = try ledger.begin(mechanism, account: account)
        if let folder {
            let file = try AtomicFile(path: Self.runFile(folder), permissions: 0o600)
            try file.write(Array((id + "\n" + options).utf8), at: 0)
            try file.commit()
        }
        if mechanism.bands != nil { try chargeWhole(mechanism.steps) }
    }

    /// Opens a run again that was begun in `folder`.
    ///
    /// - Throws: `DataError` if there is none, if it was begun with other options, or as above.
    public init(
        resuming folder: String, mechanism: PrivacyMechanism, account: LedgerAccount, ledger path: String?,
        options: String
    ) throws {
        self.mechanism = mechanism
        self.folder = folder
        guard fileKind(Self.runFile(folder)) == .regular else {
            throw DataError(.missingInput, "holds no run to resume; leave --resume out", at: .init(file: folder))
        }
        let region = try ByteRegion.map(file: Self.runFile(folder))
        let text = String(decoding: region.bytes(0, region.count), as: UTF8.self)
        let cut = text.firstIndex(of: "\n") ?? text.endIndex
        guard text[cut...].dropFirst() == options else {
            throw DataError(
                .mismatch, "holds a run with other options, data or parameters; resume it with the same",
                at: .init(file: folder))
        }
        ledger = try PrivacyLedger(path: Self.ledgerPath(path, folder))
        id = String(text[..<cut])
        guard let run = ledger.runs.first(where: { [id] in $0.id == id }) else {
            throw DataError(
                .mismatch, "does not hold the run of \(folder); give the ledger that the run was begun with",
                at: .init(file: ledger.path))
        }
        guard run.dataset == account.dataset else {
            throw DataError(
                .mismatch, "holds a run on data set \(quoted(run.dataset)); resume it under that name",
                at: .init(file: folder))
        }
        notes = account.notes(on: ledger.runs, unit: mechanism.unit)
        let others = ledger.runs.filter { [id] in $0.dataset == account.dataset && $0.id != id }
        try account.budget?.check(others, and: mechanism, dataset: account.dataset)
        if mechanism.bands != nil {
            let wholes = [mechanism.steps] + mechanism.restarts
            guard wholes.count <= run.wholes.count + 1, wholes.starts(with: run.wholes) else {
                throw DataError(.mismatch, "has gone on in the meantime; resume it again", at: .init(file: folder))
            }
            if wholes.count > run.wholes.count { try chargeWhole(wholes.last!) }
        }
    }

    private func chargeWhole(_ steps: Int) throws(DataError) {
        try ledger.charge(id, wholeOf: steps)
        wholeLeft = steps
    }

    /// The mechanism that resuming a run in `folder` makes of the one it was begun with: with independent noise the same, with
    /// correlated noise what was charged already and a further one of the steps that the checkpoint lacks.
    ///
    /// - Throws: `DataError` if there is no such run, or its ledger or checkpoint cannot be read.
    public static func resumed(_ mechanism: PrivacyMechanism, in folder: String, ledger path: String?)
        throws(DataError) -> PrivacyMechanism
    {
        guard mechanism.bands != nil, let run = try recordedRun(in: folder, ledger: path), !run.wholes.isEmpty else {
            return mechanism
        }
        let checkpoint = checkpointFile(folder)
        let taken = fileKind(checkpoint) == .absent ? 0 : try TrainingState.stepCount(path: checkpoint)
        guard run.wholes[0] == mechanism.steps, taken <= mechanism.steps else {
            throw DataError(
                .mismatch, "holds a run of another number of steps; resume it with the same", at: .init(file: folder))
        }
        return mechanism.restarted(run.wholes.dropFirst() + (taken < mechanism.steps ? [mechanism.steps - taken] : []))
    }

    /// Charges the next step, durably, unless it is part of what was charged as a whole.
    /// - Throws: `DataError` if that fails; no noise may then be drawn.
    func charge() throws(DataError) {
        precondition(stepsLeft > 0, "no step is left to charge")
        if mechanism.bands == nil { try ledger.charge(id) } else { wholeLeft -= 1 }
    }

    /// Writes a checkpoint, replacing the last one; without a folder, nothing.
    /// - Throws: `DataError` if it cannot be written; the last one then stays.
    public func save(_ trainer: Trainer) throws(DataError) {
        guard let folder else { return }
        try trainer.state.write(to: Self.checkpointFile(folder))
    }

    /// Puts a trainer where the last checkpoint left it; without one, it stays at its beginning.
    /// - Throws: `DataError` if the checkpoint is damaged.
    public func restore(_ trainer: Trainer) throws(DataError) {
        guard let folder, fileKind(Self.checkpointFile(folder)) != .absent else { return }
        trainer.restore(try TrainingState(path: Self.checkpointFile(folder), like: trainer.state))
    }

    /// The run that a folder keeps a checkpoint of, as its ledger knows it; nil if there is none.
    ///
    /// - Parameter ledger: path of the ledger; nil for one in the folder.
    /// - Throws: `DataError` if the ledger cannot be read or does not hold the run.
    public static func recordedRun(in folder: String, ledger path: String?) throws(DataError) -> LedgerRun? {
        guard fileKind(runFile(folder)) == .regular else { return nil }
        let region = try ByteRegion.map(file: runFile(folder))
        let id = String(decoding: region.bytes(0, region.count), as: UTF8.self).prefix { $0 != "\n" }
        let path = ledgerPath(path, folder)
        guard fileKind(path) == .regular, let run = try PrivacyLedger.runs(in: path).first(where: { $0.id == id })
        else {
            throw DataError(
                .missingInput, "holds no account of the run; give its ledger with --ledger", at: .init(file: path))
        }
        return run
    }

    private static func runFile(_ folder: String) -> String { folder + "/run" }
    private static func checkpointFile(_ folder: String) -> String { folder + "/checkpoint.safetensors" }

    private static func ledgerPath(_ path: String?, _ folder: String?) -> String {
        guard let path = path ?? folder.map({ $0 + "/ledger" }) else {
            preconditionFailure("a run is recorded in a ledger or a folder")
        }
        return path
    }
}
