public import PrivacyAccounting

/// A training run as a ledger knows it: what every step costs, and how many have been charged.
public struct LedgerRun: Sendable, Hashable {
    /// Random, so that ledgers can be joined.
    public let id: String
    /// What the user calls the data set.
    public let dataset: String
    public let sampler: BatchSampler
    /// N as declared.
    public let datasetSize: Int
    public let noiseMultiplier: Double
    public let adjacency: Adjacency
    public let unit: String
    /// Of the data, under a key of the user's; nil if none was given.
    public let fingerprint: String?
    /// Steps whose noise may have been drawn. Steps that were taken again after a crash count again.
    public internal(set) var charged = 0
    /// Of correlated noise; nil for independent noise.
    public let bands: Int?
    /// Steps of each mechanism that was charged as a whole; together they are ``charged``. Empty for independent noise.
    public internal(set) var wholes: [Int] = []

    init(id: String, account: LedgerAccount, mechanism: PrivacyMechanism) {
        self.id = id
        dataset = account.dataset
        fingerprint = account.fingerprint
        sampler = mechanism.sampler
        datasetSize = mechanism.datasetSize
        noiseMultiplier = mechanism.noiseMultiplier
        adjacency = mechanism.adjacency
        unit = mechanism.unit
        bands = mechanism.bands
    }

    /// What has been spent.
    public var event: PrivacyEvent {
        if bands == nil { return cost(charged) }
        return wholes.reduce(into: cost(0)) { $0.count += cost($1).count }
    }

    /// What had been spent when so many steps were charged; of correlated noise, what has been in the end.
    public func event(charged count: Int) -> PrivacyEvent { bands == nil ? cost(count) : event }

    private func cost(_ count: Int) -> PrivacyEvent {
        sampler.event(datasetSize: datasetSize, noiseMultiplier: noiseMultiplier, count: count)
    }

    mutating func charge(wholeOf steps: Int) {
        wholes.append(steps)
        charged += steps
    }

    /// The fields of the record that opens a run.
    var fields: [(key: String, value: String)] {
        var fields = [
            ("run", id), ("dataset", dataset), ("sampler", sampler.name), ("rate", "\(sampler.samplingRate)"),
            ("size", "\(datasetSize)"), ("noise", "\(noiseMultiplier)"), ("adjacency", adjacency.rawValue),
            ("unit", unit),
        ]
        if let largest = sampler.largestBatch { fields.append(("largest-batch", "\(largest)")) }
        if case .cyclicPoisson(_, let subsets) = sampler { fields.append(("subsets", "\(subsets)")) }
        if let bands { fields.append(("bands", "\(bands)")) }
        if let fingerprint { fields.append(("fingerprint", fingerprint)) }
        return fields
    }

    /// Nil if a field is missing or not understood.
    init?(fields: [String: String]) {
        guard let id = fields["run"], let dataset = fields["dataset"], let unit = fields["unit"],
            let rate = fields["rate"].flatMap(Double.init), (0...1).contains(rate),
            let size = fields["size"].flatMap(Int.init), size > 0,
            let noise = fields["noise"].flatMap(Double.init), noise >= 0, noise.isFinite,
            let adjacency = fields["adjacency"].flatMap(Adjacency.init(rawValue:))
        else { return nil }
        switch fields["sampler"] {
        case "poisson": sampler = .poisson(rate: rate)
        case "full" where rate == 1: sampler = .full
        case "truncated-poisson":
            guard let largest = fields["largest-batch"].flatMap(Int.init), largest > 0 else { return nil }
            sampler = .truncatedPoisson(rate: rate, largestBatch: largest)
        case "cyclic-poisson":
            guard let subsets = fields["subsets"].flatMap(Int.init), (1...(1 << 40)).contains(subsets) else {
                return nil
            }
            sampler = .cyclicPoisson(rate: rate, subsets: subsets)
        default: return nil
        }
        if let text = fields["bands"] {
            guard let bands = Int(text), bands > 0, bands <= sampler.separation else { return nil }
            self.bands = bands
        } else {
            bands = nil
        }
        self.id = id
        self.dataset = dataset
        datasetSize = size
        noiseMultiplier = noise
        self.adjacency = adjacency
        self.unit = unit
        fingerprint = fields["fingerprint"]
    }
}
