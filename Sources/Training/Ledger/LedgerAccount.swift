/// What a run is entered under in a ledger.
public struct LedgerAccount: Sendable, Hashable {
    /// What the user calls the data set.
    public var dataset: String
    /// Of the data, under a key of the user's; nil for none.
    public var fingerprint: String?
    /// Nil for no limit.
    public var budget: DatasetBudget?

    public init(dataset: String, fingerprint: String? = nil, budget: DatasetBudget? = nil) {
        self.dataset = dataset
        self.fingerprint = fingerprint
        self.budget = budget
    }

    /// The secret key in a file, as it is.
    /// - Throws: `DataError` if it cannot be read or is so short that it can be guessed.
    public static func fingerprintKey(path: String) throws(DataError) -> [UInt8] {
        let region = try ByteRegion.map(file: path)
        guard region.count >= 16 else {
            throw DataError(
                .malformed, "holds \(region.count) bytes; a key that cannot be guessed has 16 or more",
                at: .init(file: path))
        }
        return Array(region.bytes(0, region.count))
    }

    /// What the user should know of earlier runs: that they protected another unit than this run does, that the data under
    /// this name were others, or that these data have another name.
    func notes(on runs: [LedgerRun], unit: String) -> [String] {
        var notes: [String] = []
        if let other = runs.first(where: { $0.dataset == dataset && $0.unit != unit }) {
            notes.append(
                "earlier runs on data set '\(dataset)' protect \(other.unit), this one protects \(unit): their epsilons do not add up, and what both cost together is not known"
            )
        }
        guard let fingerprint else { return notes }
        if runs.contains(where: { $0.dataset == dataset && ($0.fingerprint ?? fingerprint) != fingerprint }) {
            notes.append(
                "data set '\(dataset)' had another fingerprint in an earlier run: the data or the key have changed since; their epsilons are added up"
            )
        }
        let others = Set(runs.filter { $0.dataset != dataset && $0.fingerprint == fingerprint }.map(\.dataset))
        for other in others.sorted() {
            notes.append(
                "the ledger knows the same data as '\(other)'; what was spent there is not counted for '\(dataset)'")
        }
        return notes
    }
}
