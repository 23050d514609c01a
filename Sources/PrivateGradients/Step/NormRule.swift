import Operators
import TensorGraph

/// How one target's norm is computed, and what the contraction can use of it.
enum NormRule: String {
    case ghost
    /// Instantiated sample by sample and dropped.
    case discarded = "instantiate"
    /// Instantiated for the whole batch and summed from there.
    case kept = "instantiate, kept"

    /// Multiply-adds that take as long as writing and reading one float of memory twice.
    private static let memoryCost = 60.0
    /// The same for gradients so small, for a sample and for the batch, that caches hold them. Products of their sizes
    /// run far below the processor's peak besides.
    private static let cacheCost = 20.0
    private static let mostCachedElements = 65535.0
    private static let mostCachedBytes = 16.0 * 1024 * 1024
    /// A batch of per-sample gradients larger than this is never kept for speed alone.
    private static let largestKeptBytes = 128.0 * 1024 * 1024

    /// The cheapest rule by the cost model of ALGORITHMS: a kept G_i saves the contraction, a discarded one nothing.
    static func cheapest(_ cost: SiteCost, batchSize: Int) -> NormRule {
        let keptBytes = cost.elements * 4 * Double(batchSize)
        // Keeping replaces the contraction, which costs as much as instantiating directly.
        let isCached = cost.elements <= mostCachedElements && keptBytes <= mostCachedBytes
        let kept =
            keptBytes <= largestKeptBytes
            ? cost.elements * (isCached ? cacheCost : memoryCost) + cost.keep - cost.instantiate : .infinity
        let ghost = cost.ghost ?? .infinity
        if kept <= min(ghost, cost.instantiate) { return .kept }
        return ghost <= cost.instantiate ? .ghost : .discarded
    }
}

/// A target's norm as emitted, and how its clipped sum follows.
struct TargetNorm {
    /// Squared norms [B], float64.
    let squares: ValueID
    let rule: NormRule
    /// Name of the site's rule, for tables.
    let siteRule: String
    /// What is contracted: kept per-sample gradients or sites.
    let contracted: [any Site]

    /// - Parameter batchSize: number of samples that the sites tell apart.
    init(_ target: ParameterTarget, mode: ClippingMode, batchSize: Int, in builder: inout GraphBuilder)
        throws(GraphError)
    {
        let sites = try Self.merged(target.sites, in: &builder)
        if sites.count == 1 {
            let site = sites[0]
            siteRule = site.ruleName
            switch Self.preferred(site, mode, batchSize) {
            case .ghost:
                if let norms = try site.ghostNorms(in: &builder) {
                    (squares, rule, contracted) = (norms, .ghost, [site])
                    return
                }
                fallthrough
            case .discarded:
                if let norms = try site.discardedNorms(in: &builder) {
                    (squares, rule, contracted) = (norms, .discarded, [site])
                    return
                }
                fallthrough
            case .kept:
                let kept = PerSampleSite(
                    gradients: try site.perSampleGradients(in: &builder), shape: site.gradientShape, rule: site.ruleName
                )
                squares = try builder.emit(SquaredNorms(), kept.gradients)
                (rule, contracted) = (.kept, [kept])
            }
            return
        }
        siteRule = Set(sites.map(\.ruleName)).sorted().joined(separator: " + ")
        if mode != .instantiate, let norms = try Self.crossedNorms(sites, in: &builder) {
            (squares, rule, contracted) = (norms, .ghost, sites)
            return
        }
        // Any other pair: add the per-sample gradients, then take the norm.
        var sum = try sites[0].perSampleGradients(in: &builder)
        for site in sites.dropFirst() { sum = try builder.add(sum, try site.perSampleGradients(in: &builder)) }
        let kept = PerSampleSite(gradients: sum, shape: sites[0].gradientShape, rule: siteRule)
        squares = try builder.emit(SquaredNorms(), kept.gradients)
        (rule, contracted) = (.kept, [kept])
    }

    private static func preferred(_ site: any Site, _ mode: ClippingMode, _ batchSize: Int) -> NormRule {
        switch mode {
        case .bookKeeping: NormRule.cheapest(site.cost, batchSize: batchSize)
        case .bookKeepingGhost, .ghost: .ghost
        case .instantiate: .kept
        case .nonPrivate: preconditionFailure("ordinary gradients need no norms")
        }
    }

    /// Joins sites that have an exact common rule.
    static func merged(_ sites: [any Site], in builder: inout GraphBuilder) throws(GraphError) -> [any Site] {
        var rest = sites
        var result: [any Site] = []
        while !rest.isEmpty {
            let first = rest.removeFirst()
            var partners: [any Site] = []
            var others: [any Site] = []
            for site in rest {
                if try first.merged(with: [site], in: &builder) != nil {
                    partners.append(site)
                } else {
                    others.append(site)
                }
            }
            result.append(partners.isEmpty ? first : try first.merged(with: partners, in: &builder) ?? first)
            rest = others
        }
        return result
    }

    /// n^2 = sum_k n_k^2 + 2 sum_{k<l} <G_k, G_l>, if every norm and every pair has an exact rule.
    private static func crossedNorms(_ sites: [any Site], in builder: inout GraphBuilder) throws(GraphError) -> ValueID?
    {
        var terms: [ValueID] = []
        var coefficients: [Double] = []
        for (index, site) in sites.enumerated() {
            guard let own = try site.ghostNorms(in: &builder) else { return nil }
            terms.append(own)
            coefficients.append(1)
            for other in sites[(index + 1)...] {
                var product = try site.innerProducts(with: other, in: &builder)
                if product == nil { product = try other.innerProducts(with: site, in: &builder) }
                guard let product else { return nil }
                terms.append(product)
                coefficients.append(2)
            }
        }
        return try builder.emitAll(NormSum(coefficients: coefficients), terms)[0]
    }
}
