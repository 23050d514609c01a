import Glibc

/// Everything that a user states about a training, before its model is looked at. Defaults are the command line's.
public struct TrainingRequest: Sendable {
    /// Whether tensors that the exporter merged are taken apart and those that it left out are put back, and whether copies
    /// are tied; see `LoadedModel.init`.
    public var untie = true
    public var retie = true
    public var selection = ParameterSelection()
    /// Low-rank adapters that train, and whether they are written as nodes of the file.
    public var adapters: [AdapterSpecification] = []
    public var keepsAdapters = false
    public var inputs = InputOptions()
    public var loss = LossSpecification()
    /// Key of the targets among a batch's arrays.
    public var target = "labels"
    public var privacy = PrivacyRequest()
    public var clipping = ClippingOptions()
    /// Patterns of the clipping groups and the clipping norm C_k of each, in place of the style and norm of `clipping`.
    public var clipGroups: [(pattern: String, norm: Double)] = []
    public var optimization = OptimizationRequest()
    /// The number of samples that batches are drawn from, rows or groups of rows; nil for the declared N.
    public var rows: Int?
    /// What the privacy unit is; nil for a row.
    public var group: GroupRequest?
    public var record = RecordRequest()
    /// Threads to compute with; nil for all processors.
    public var threads: Int?
    /// Samples computed at once; nil for as many as `memoryLimit` bytes hold, 256 at most.
    public var physicalBatchSize: Int?
    /// Nil for half of the machine's memory.
    public var memoryLimit: Int?

    public init() {}

    /// - Throws: `UsageError` if a value is out of range or two contradict each other.
    public func check() throws(UsageError) {
        try privacy.check()
        try optimization.check()
        // Whose batch a row may enter depends on the number of the step, which callers who draw ahead could change.
        try require(privacy.noise == .gaussian, "--mechanism bandmf is for runs that draw their own batches")
        try require(rows.map { $0 > 0 }, "--rows must be 1 or more")
        try require(threads.map { (1...4096).contains($0) }, "--threads must be 1 to 4096")
        try require(physicalBatchSize.map { $0 > 0 }, "--physical-batch-size must be 1 or more")
        try require(memoryLimit.map { $0 > 0 }, "--memory-limit must be 1 or more")
        try require(
            physicalBatchSize == nil || memoryLimit == nil, "give --physical-batch-size or --memory-limit, not both")
        try require(group.map { $0.largest > 0 }, "--largest-group must be 1 or more")
        try record.check()
        try require(
            record.ledger == nil || (privacy.seed == nil && clipping.mode != .nonPrivate),
            "a ledger accounts for private runs; leave --ledger, or --seed and non-private, out")
    }

    /// How the parameters `names` are clipped.
    /// - Throws: `SelectionError` if a parameter is in no group or in several.
    func clipping(of names: [String]) throws(SelectionError) -> ClippingOptions {
        if clipGroups.isEmpty { return clipping }
        let groups = try ParameterGroups.resolve(clipGroups, among: names)
        return ClippingOptions(mode: clipping.mode, function: clipping.function, groups: groups)
    }

    /// What trains the model: nil if no privacy is asked for, so that it can only be looked at and evaluated.
    /// - Throws: `UsageError`.
    func mechanism(clipping: ClippingOptions) throws(UsageError) -> PrivacyMechanism? {
        guard privacy.isStated || clipping.mode == .nonPrivate else { return nil }
        try privacy.checkStated(mode: clipping.mode)
        guard let rows = rows ?? privacy.datasetSize else {
            throw UsageError(
                "the number of rows is not known: declare it with --dataset-size, or give the data's with --rows")
        }
        return try privacy.mechanism(samples: rows, groupKey: group?.key, clipping: clipping)
    }

    var memoryBytes: Int { memoryLimit ?? sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) / 2 }
}
