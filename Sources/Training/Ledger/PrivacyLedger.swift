import Glibc
public import PrivacyAccounting

/// The account of what training runs have spent on data sets: an append-only file, one checksummed line per record.
///
/// A step is charged, and the charge made durable, before its noise is drawn: a crash may charge one step that never
/// happened, but no noise goes uncharged. While a ledger is open for charging no other process can open it for that.
/// A last line that a crash left incomplete was never acted upon and is cut off.
public final class PrivacyLedger {
    public let path: String
    public private(set) var runs: [LedgerRun] = []
    private var descriptor: Int32 = -1
    private let owner = getpid()
    private var length = 0
    private var checksum: UInt32 = 0

    private static let version = "1"

    /// Opens a ledger for charging, or begins it.
    /// - Throws: `DataError` if it cannot be created, is damaged or in use, or is no regular file.
    public init(path: String) throws(DataError) {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw DataError(.cannotCreate, "cannot be opened as a ledger: \(systemMessage(errno))", at: place)
        }
        guard fileKind(path) == .regular else { throw DataError(.cannotCreate, "is not a regular file", at: place) }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            throw DataError(
                .inputOutput, "is in use by another run; wait for it, or give this run a ledger of its own", at: place)
        }
        let bytes = try read()
        try parse(bytes)
        if length < bytes.count, ftruncate(descriptor, off_t(length)) != 0 { throw failure("cut to its last record") }
        if length == 0 {
            try append("ledger", [("version", Self.version)])
            try syncFolder()
        }
    }

    private init(reading path: String) throws(DataError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw DataError(.missingInput, "cannot be read: \(systemMessage(errno))", at: place)
        }
        try parse(read())
        guard length > 0 else { throw DataError(.malformed, "is not a ledger", at: place) }
    }

    deinit {
        guard descriptor >= 0 else { return }
        // A process forked meanwhile, such as a data loader's worker, shares the descriptor: closing would leave it the lock,
        // and it must not give up ours.
        if getpid() == owner { flock(descriptor, LOCK_UN) }
        close(descriptor)
    }

    /// The runs of a ledger that may be in use.
    /// - Throws: `DataError` if it cannot be read or is damaged.
    public static func runs(in path: String) throws(DataError) -> [LedgerRun] {
        try PrivacyLedger(reading: path).runs
    }

    /// Opens a run and returns its name.
    /// - Throws: `DataError` if the record cannot be made durable.
    public func begin(_ mechanism: PrivacyMechanism, account: LedgerAccount) throws(DataError) -> String {
        let run = LedgerRun(
            id: String(UInt64.random(in: .min ... .max), radix: 36), account: account, mechanism: mechanism)
        try append("run", run.fields)
        runs.append(run)
        return run.id
    }

    /// Charges one more step to a run. When this returns, the charge survives a crash.
    /// - Precondition: the run is in this ledger.
    /// - Throws: `DataError` if the record cannot be made durable; no noise may then be drawn.
    public func charge(_ id: String) throws(DataError) {
        guard let index = runs.firstIndex(where: { $0.id == id }) else { preconditionFailure("no run of that name") }
        try append("charge", [("run", id), ("steps", "\(runs[index].charged + 1)")])
        runs[index].charged += 1
    }

    /// Charges a mechanism of correlated noise as a whole to a run. When this returns, the charge survives a crash.
    /// - Precondition: the run is in this ledger and of correlated noise.
    /// - Throws: `DataError` if the record cannot be made durable; no noise may then be drawn.
    public func charge(_ id: String, wholeOf steps: Int) throws(DataError) {
        guard let index = runs.firstIndex(where: { $0.id == id }) else { preconditionFailure("no run of that name") }
        precondition(runs[index].bands != nil && steps > 0, "the steps of independent noise are charged one by one")
        try append("whole", [("run", id), ("number", "\(runs[index].wholes.count + 1)"), ("steps", "\(steps)")])
        runs[index].charge(wholeOf: steps)
    }

    private var place: DataError.Place { DataError.Place(file: path) }

    private func failure(_ action: String) -> DataError {
        DataError(.inputOutput, "cannot be \(action): \(systemMessage(errno))", at: place)
    }

    private func read() throws(DataError) -> [UInt8] {
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = pread(descriptor, &block, block.count, off_t(bytes.count))
            if count < 0, errno == EINTR { continue }
            if count < 0 { throw failure("read") }
            if count == 0 { return bytes }
            bytes += block[..<count]
        }
    }

    /// Takes in all complete lines; what follows the last newline is left out.
    private func parse(_ bytes: [UInt8]) throws(DataError) {
        var number = 0
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            number += 1
            let place = DataError.Place(file: path, line: number)
            guard let line = LedgerLine(rest[..<end], after: checksum) else {
                throw DataError(.malformed, "is damaged; restore the ledger from a copy", at: place)
            }
            guard take(line, isFirst: number == 1) else {
                throw DataError(.malformed, "holds no record that this version understands", at: place)
            }
            checksum = LedgerLine.chained(rest[..<end].dropFirst(9), after: checksum)
            rest = rest[(end + 1)...]
            length = rest.startIndex
        }
    }

    private func take(_ line: LedgerLine, isFirst: Bool) -> Bool {
        switch line.kind {
        case "ledger": return isFirst && line.fields["version"] == Self.version
        case "run" where !isFirst:
            guard let run = LedgerRun(fields: line.fields), !runs.contains(where: { $0.id == run.id }) else {
                return false
            }
            runs.append(run)
            return true
        case "charge" where !isFirst:
            guard let index = runs.firstIndex(where: { $0.id == line.fields["run"] }), runs[index].bands == nil,
                line.fields["steps"] == "\(runs[index].charged + 1)"
            else { return false }
            runs[index].charged += 1
            return true
        case "whole" where !isFirst:
            guard let index = runs.firstIndex(where: { $0.id == line.fields["run"] }), runs[index].bands != nil,
                line.fields["number"] == "\(runs[index].wholes.count + 1)",
                let steps = line.fields["steps"].flatMap(Int.init), (1...(1 << 40)).contains(steps)
            else { return false }
            runs[index].charge(wholeOf: steps)
            return true
        default: return false
        }
    }

    private func append(_ kind: String, _ fields: [(key: String, value: String)]) throws(DataError) {
        let (bytes, checksum) = LedgerLine.text(kind, fields, after: checksum)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, off_t(length + done))
            }
            if count < 0, errno == EINTR { continue }
            if count < 0 { throw failure("written to") }
            done += count
        }
        guard fdatasync(descriptor) == 0 else { throw failure("written to") }
        length += bytes.count
        self.checksum = checksum
    }

    /// Makes the file's name durable.
    private func syncFolder() throws(DataError) {
        let cut = path.lastIndex(of: "/")
        let folder = cut.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("made durable") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("made durable") }
    }
}
