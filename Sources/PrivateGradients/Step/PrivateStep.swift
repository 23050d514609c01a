import Operators
public import TensorGraph

/// The graph of one training step over one physical batch: forward, loss, backward, norms, clip factors, contractions.
///
/// Inputs are the model's, the targets, and `PrivateStep.weights`; outputs are the names below. Norms, factors and sums
/// cover the samples of weight 1; a logical batch adds up the sums of several runs.
///
/// A sample may be made of several consecutive rows of the model's batch (all rows of a user, say). Its loss is then the sum
/// of its rows' losses times `PrivateStep.rowWeights`, and norms are those of that loss's gradient.
public struct PrivateStep: Sendable {
    /// Input [B]: 1 for a sample, 0 for padding.
    public static let weights = "dponnx.weights"
    /// Input [B * rows per sample], where that is more than one: the share of a row in its sample's loss. A row of share 0
    /// repeats another one of its sample.
    public static let rowWeights = "dponnx.row-weights"
    /// Input [1], float64: C, unless the mode is not private.
    public static let clippingNorm = "dponnx.clip-norm"
    /// All inputs that are not the model's or the loss's.
    public static let ownInputs: Set<String> = [weights, rowWeights, clippingNorm]
    /// Output [B]: each sample's loss.
    public static let losses = "dponnx.losses"
    /// Output [B]: norm of each sample's gradient with respect to all trainable parameters.
    public static let norms = "dponnx.norms"
    /// Output [B]: clip factors of group `group`.
    public static func factors(group: Int) -> String { "dponnx.factors/\(group)" }
    /// Output, of the parameter's shape: sum_i c_i G_i.
    public static func sum(of parameter: String) -> String { "dponnx.sum/\(parameter)" }

    /// What was decided for one parameter, for tables.
    public struct Rule: Hashable, Sendable {
        public var parameters: [String]
        /// "linear", "convolution", "embedding", "broadcast", or several joined.
        public var site: String
        public var norm: String
        /// Multiply-adds per sample of norm and instantiation.
        public var cost: SiteCost
        public var siteCount: Int
    }

    public let graph: Graph
    /// Parameters of each clipping group: layers in the order of the forward pass, parameters in the order of the graph,
    /// groups as given.
    public let groups: [[String]]
    /// Thresholds of the groups in units of C.
    private let shares: [Double]
    private let function: ClippingFunction
    public let rules: [Rule]
    /// Trainable parameters that the loss does not depend on; their gradient is zero.
    public let unreached: [String]
    /// What of the wished savings of memory the step makes.
    public let saving: MemorySaving

    /// - Parameters:
    ///   - builder: holds the forward graph with its loss.
    ///   - loss: one loss per row, [B * rowsPerSample].
    ///   - rowsPerSample: consecutive rows that form one sample.
    ///   - wishes: how to save memory, where the model allows it.
    /// - Throws: `GraphError` `mixesSamples` naming the node at which samples meet, `unsupported` for a node without a
    ///   gradient or per-sample rule, `invalid` if nothing trainable reaches the loss.
    public init(
        _ builder: GraphBuilder, loss modelLosses: ValueID, options: ClippingOptions, rowsPerSample: Int = 1,
        saving wishes: MemorySaving = MemorySaving()
    ) throws(GraphError) {
        var builder = builder
        var rowLosses = modelLosses
        var saving = wishes
        saving.headBlock = nil
        try Self.checkIndependence(of: rowLosses, in: builder)
        let rowCount = builder.batchSize
        precondition(rowCount % rowsPerSample == 0, "the rows of the last sample are not complete")
        let batchSize = rowCount / rowsPerSample
        precondition(builder.type(of: rowLosses) == TensorType(.float32, [rowCount]), "a loss has one entry per row")
        try builder.fuseRowOperations(before: rowLosses)
        try builder.fuseActivations(before: rowLosses)
        try builder.fuseAttention(before: rowLosses)
        if let block = wishes.headBlock, options.mode.contractsTheBook,
            let losses = try builder.computeHeadInBlocks(
                of: rowLosses, rowsPerSample: rowsPerSample, tellsNorms: options.mode != .nonPrivate, block: block)
        {
            rowLosses = losses
            saving.headBlock = block
        }
        let forwardNodeCount = builder.graph.nodes.count
        builder.followsBatch = false
        builder.origin = Origin(operatorType: "private step", name: "")
        let weights = builder.addInput(Self.weights, TensorType(.float32, [batchSize]), batch: nil)
        let rows = try SampleRows(rowsPerSample, losses: rowLosses, in: &builder)
        let loss = rows.sampleLosses
        var backward = try Backpropagation(
            from: rowLosses, seed: rows.shares, forwardNodeCount: forwardNodeCount, in: &builder)
        try backward.joinSamples(rowsPerSample, in: &builder)
        let isPrivate = options.mode != .nonPrivate
        let groupOfParameter = try GroupAssignment.groupOfParameter(options, in: builder.graph)
        let targets =
            isPrivate
            ? try ParameterTarget.collect(backward.uses, groups: groupOfParameter, in: &builder)
            : ParameterTarget.unmoved(backward.uses, in: builder)
        guard !targets.isEmpty else {
            throw GraphError.invalid("the loss depends on no trainable parameter; choose some with --trainable")
        }
        let groups = GroupAssignment(targets, options: options, in: builder.graph)
        var factors = groups.targets.map { _ in weights }
        var rules: [Rule] = []
        var terms: [ContractionTerm] = []
        if isPrivate {
            var norms: [TargetNorm] = []
            for target in targets {
                norms.append(try TargetNorm(target, mode: options.mode, batchSize: batchSize, in: &builder))
            }
            for (target, norm) in zip(targets, norms) {
                rules.append(Rule(target, site: norm.siteRule, norm: norm.rule.rawValue))
            }
            let clip = ClipFactors(
                function: options.function, normsPerGroup: groups.targets.map(\.count),
                shares: groups.shares,
                smallestShare: options.mode == .ghost ? Self.smallestShareOfTwoPasses : 0)
            let squares = groups.targets.flatMap { $0.map { norms[$0].squares } }
            let clippingNorm = builder.addInput(Self.clippingNorm, TensorType(.float64, [1]), batch: nil)
            let outputs = try builder.emitAll(clip, [clippingNorm, weights, loss] + squares)
            builder.addOutput(Self.norms, outputs[0])
            factors = Array(outputs.dropFirst())
            if options.clippingNorm == .infinity {
                // Every factor is 1, or 0 for a sample that is left out: the sum is the ordinary gradient, bit for bit.
                terms = try ContractionTerm.all(
                    ParameterTarget.unmoved(backward.uses, in: builder), factors: factors[0], in: &builder)
            }
            for (group, members) in groups.targets.enumerated() where options.clippingNorm.isFinite {
                for member in members {
                    terms += norms[member].contracted.map {
                        ContractionTerm(value: targets[member].value, site: $0, factors: factors[group])
                    }
                }
            }
        } else {
            terms = try ContractionTerm.all(targets, factors: weights, in: &builder)
            for target in targets { rules.append(Rule(target, site: target.sites[0].ruleName, norm: "none")) }
        }
        builder.addOutput(Self.losses, loss)
        for (group, factor) in factors.enumerated() { builder.addOutput(Self.factors(group: group), factor) }

        var sums: [String: ValueID] = [:]
        if options.mode == .ghost {
            // A further backward pass per group carries the factors in its seed; its contraction only leaves samples
            // out.
            for (names, factor) in zip(groups.parameters, factors) {
                var reweighted = try Backpropagation(
                    from: rowLosses, seed: try rows.shares(times: factor, in: &builder),
                    forwardNodeCount: forwardNodeCount, in: &builder)
                try reweighted.joinSamples(rowsPerSample, in: &builder)
                let terms = try ContractionTerm.all(
                    ParameterTarget.unmoved(reweighted.uses, in: builder),
                    factors: try builder.emit(TakesPart(), factor), in: &builder)
                let own = try Self.sums(terms, forwardNodeCount: forwardNodeCount, in: &builder)
                sums.merge(own.filter { names.contains($0.key) }) { $1 }
            }
        } else {
            sums = try Self.sums(terms, forwardNodeCount: forwardNodeCount, in: &builder)
        }
        var unreached: [String] = []
        for (name, _) in builder.graph.parameters {
            if let sum = sums[name] { builder.addOutput(Self.sum(of: name), sum) } else { unreached.append(name) }
        }
        graph = builder.finish()
        self.groups = groups.parameters
        shares = groups.shares
        function = options.function
        self.rules = rules
        self.unreached = unreached
        self.saving = saving
    }

    /// The clip factors, by group, of a sample's gradient that is at hand as a whole.
    /// - Parameter squares: squared norms of its parts, by parameter; finite.
    public func factors(ofGradientWith squares: [String: Double], clippingNorm: Double) -> [Float] {
        zip(groups, shares).map { names, share in
            let square = names.reduce(0) { $0 + squares[$1]! }
            return function.factor(norm: square.squareRoot(), clippingNorm: share * clippingNorm)
        }
    }

    /// The second pass rounds anew: a group whose gradient is nothing but rounding would not keep to the norm that the
    /// first pass found.
    private static let smallestShareOfTwoPasses = 1e-4

    /// The contracted gradients, pulled back to the parameters that they reach.
    private static func sums(_ terms: [ContractionTerm], forwardNodeCount: Int, in builder: inout GraphBuilder)
        throws(GraphError) -> [String: ValueID]
    {
        var gradients: [(value: ValueID, gradient: ValueID)] = []
        for term in terms {
            let sum = try term.site.contraction(factors: term.factors, in: &builder)
            gradients.append((term.value, try builder.view(sum, builder.shape(of: term.value))))
        }
        var pullback = try ParameterPullback(gradients, forwardNodeCount: forwardNodeCount, in: &builder)
        var sums: [String: ValueID] = [:]
        for (name, value) in builder.graph.parameters { sums[name] = try pullback.total(value, &builder) }
        return sums
    }

    /// - Throws: `GraphError` `mixesSamples` with the first node at which samples meet on the way to the loss.
    private static func checkIndependence(of loss: ValueID, in builder: GraphBuilder) throws(GraphError) {
        switch builder.graph[loss].batch {
        case .factor: break
        case .free: throw GraphError.invalid("the loss does not depend on the data")
        case .mixed:
            throw builder.mixingNodes(before: loss)[0].error
        }
    }
}

/// A part of a parameter's clipped sum: what one site contributes with its samples' factors.
private struct ContractionTerm {
    let value: ValueID
    let site: any Site
    let factors: ValueID

    /// The terms of all targets with the same factors, sites with a common rule joined.
    static func all(_ targets: [ParameterTarget], factors: ValueID, in builder: inout GraphBuilder) throws(GraphError)
        -> [ContractionTerm]
    {
        var terms: [ContractionTerm] = []
        for target in targets {
            for site in try TargetNorm.merged(target.sites, in: &builder) {
                terms.append(ContractionTerm(value: target.value, site: site, factors: factors))
            }
        }
        return terms
    }
}

extension PrivateStep.Rule {
    fileprivate init(_ target: ParameterTarget, site: String, norm: String) {
        self.init(
            parameters: target.parameters, site: site, norm: norm, cost: target.sites[0].cost,
            siteCount: target.sites.count)
    }
}
