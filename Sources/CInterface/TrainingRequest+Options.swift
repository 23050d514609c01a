import DPONNX

extension TrainingRequest {
    /// Reads what `dponnx_open` documents.
    /// - Throws: `UsageError` for an unknown key, a value of the wrong type, or values that contradict each other.
    init(options text: String) throws(UsageError) {
        self.init()
        var options = try OptionsReader(text)
        untie = try options.bool("untie") ?? untie
        retie = try options.bool("retie") ?? retie
        selection.trainable = try options.texts("trainable") ?? []
        selection.frozen = try options.texts("frozen") ?? []
        inputs.batchAxes = try options.sizes("batch_axes") ?? [:]
        inputs.dimensions = try options.sizes("dimensions") ?? [:]
        loss.logits = try options.text("logits")
        loss.classAxis = try options.integer("class_axis")
        if let name = try options.text("loss") {
            guard let kind = LossSpecification.Kind(name: name) else { throw UsageError("there is no loss '\(name)'") }
            loss.kind = kind
        }
        target = try options.text("target") ?? target
        rows = try options.integer("rows")
        threads = try options.integer("threads")
        physicalBatchSize = try options.integer("physical_batch_size")
        memoryLimit = try options.integer("memory_limit")
        try readAdapters(&options)
        try readPrivacy(&options)
        try readRecord(&options)
        try readClipping(&options)
        try readOptimization(&options)
        try options.finish()
        try check()
    }

    private mutating func readPrivacy(_ options: inout OptionsReader) throws(UsageError) {
        privacy.epsilon = try options.double("epsilon")
        privacy.delta = try options.double("delta")
        privacy.noiseMultiplier = try options.double("noise_multiplier")
        privacy.datasetSize = try options.integer("dataset_size")
        privacy.batchSize = try options.integer("batch_size")
        privacy.sampler = try options.choice("sampler") ?? privacy.sampler
        privacy.largestBatch = try options.integer("largest_batch")
        privacy.epochs = try options.double("epochs")
        privacy.steps = try options.integer("steps")
        privacy.accountant = try options.choice("accountant") ?? privacy.accountant
        if let seed = try options.integer("seed") {
            guard seed >= 0 else { throw UsageError("the option 'seed' must not be negative") }
            privacy.seed = UInt64(seed)
        }
        let quantile = try options.double("adaptive_clipping")
        let rate = try options.double("adaptive_clipping_rate")
        let countNoise = try options.double("count_noise")
        guard quantile != nil || (rate == nil && countNoise == nil) else {
            throw UsageError("--adaptive-clipping-rate and --count-noise need --adaptive-clipping")
        }
        privacy.adaptiveClipping = quantile.map {
            AdaptiveClippingRequest(quantile: $0, rate: rate, countNoise: countNoise)
        }
        let key = try options.text("group_by")
        let largest = try options.integer("largest_group")
        guard (key != nil) == (largest != nil) else {
            throw UsageError("--group-by and --largest-group, the most rows that a group has, belong together")
        }
        group = key.map { GroupRequest(key: $0, largest: largest!) }
    }

    private mutating func readRecord(_ options: inout OptionsReader) throws(UsageError) {
        record.ledger = try options.text("ledger")
        record.dataset = try options.text("dataset_id")
        record.budget = try options.double("dataset_budget")
        record.folder = try options.text("checkpoint")
        record.resumes = try options.bool("resume") ?? false
    }

    private mutating func readAdapters(_ options: inout OptionsReader) throws(UsageError) {
        for text in try options.texts("adapter") ?? [] {
            guard let adapter = AdapterSpecification(text) else {
                throw UsageError(
                    "'\(text)' is no --adapter; one is written lora:rank=8 or lora:rank=8,alpha=16:PATTERN")
            }
            adapters.append(adapter)
        }
        keepsAdapters = try options.bool("keep_adapter") ?? false
    }

    private mutating func readClipping(_ options: inout OptionsReader) throws(UsageError) {
        let mode = try options.choice("clipping_mode") ?? clipping.mode
        let style = try options.choice("clipping_style") ?? clipping.style
        let norm = try positive("clip_norm", &options)
        let name = try options.text("clipping_function") ?? clipping.function.name
        let gamma = try positive("clip_gamma", &options)
        let bound = try positive("clip_bound", &options)
        clipGroups = try options.numbers("clip_groups") ?? []
        guard gamma == nil || name == "automatic" else {
            throw UsageError("--clip-gamma belongs to --clipping-function automatic")
        }
        guard (bound != nil) == (name == "global") else {
            throw UsageError("--clip-bound and --clipping-function global belong together")
        }
        let function: ClippingFunction
        switch name {
        case "abadi": function = .abadi
        case "automatic": function = .automatic(gamma: gamma ?? 0.01)
        case "normalized": function = .normalized
        case "global": function = .global(bound: bound!)
        default: throw UsageError("there is no clipping function '\(name)'")
        }
        guard (style == .grouped) == !clipGroups.isEmpty else {
            throw UsageError("--clipping-style grouped and --clip-groups belong together")
        }
        guard clipGroups.isEmpty || norm == nil else {
            throw UsageError("--clip-norm follows from --clip-groups; leave it out")
        }
        guard clipGroups.allSatisfy({ $0.norm > 0 && $0.norm.isFinite }) else {
            throw UsageError("the norms of --clip-groups must be positive and finite")
        }
        clipping = ClippingOptions(
            mode: mode, function: function, style: style == .grouped ? .flat : style, clippingNorm: norm ?? 1)
    }

    private func positive(_ key: String, _ options: inout OptionsReader) throws(UsageError) -> Double? {
        guard let value = try options.double(key) else { return nil }
        guard value > 0, value.isFinite else { throw UsageError("the option '\(key)' must be positive and finite") }
        return value
    }

    private mutating func readOptimization(_ options: inout OptionsReader) throws(UsageError) {
        optimization.optimizer = try options.choice("optimizer") ?? optimization.optimizer
        optimization.learningRate = try options.double("learning_rate")
        optimization.schedule = try options.choice("schedule") ?? optimization.schedule
        optimization.warmupSteps = try options.integer("warmup_steps") ?? 0
        optimization.momentum = try options.double("momentum")
        optimization.beta1 = try options.double("beta1")
        optimization.beta2 = try options.double("beta2")
        optimization.weightDecay = try options.double("weight_decay") ?? 0
        optimization.averageDecay = try options.double("ema")
        optimization.adamBiasCorrection = try options.bool("adam_bias_correction") ?? false
        optimization.adamFloor = try options.double("adam_floor")
    }
}
