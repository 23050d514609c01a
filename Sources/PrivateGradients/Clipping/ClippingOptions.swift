/// How per-sample norms and clipped sums are computed. All modes but `nonPrivate` compute the same numbers.
public enum ClippingMode: String, Hashable, Sendable, CaseIterable {
    /// Book-Keeping (Bu et al. 2023) with the cheaper norm rule at every site: ghost norm or instantiation.
    case bookKeeping = "bk"
    /// Book-Keeping with ghost norms wherever a site has that rule.
    case bookKeepingGhost = "bk-ghost"
    /// Two backward passes: norms first, then the gradient of the reweighted loss (Li et al. 2021).
    case ghost
    /// Every sample's gradient of every parameter is kept (Abadi et al. 2016, as Opacus does it).
    case instantiate
    /// The ordinary gradient: the sum over samples, neither clipped nor private.
    case nonPrivate = "non-private"
}

/// The factor c_i by which a sample's gradient of norm n_i is scaled.
public enum ClippingFunction: Hashable, Sendable {
    /// min(1, C / n) (Abadi et al. 2016).
    case abadi
    /// C / (n + gamma) (AUTO-S, Bu et al. 2022).
    case automatic(gamma: Double)
    /// C / n, and 0 for n = 0 (AUTO-V, Bu et al. 2022).
    case normalized
    /// C / Z if n <= Z, else 0 (Bu et al. 2021).
    case global(bound: Double)

    public var name: String {
        switch self {
        case .abadi: "abadi"
        case .automatic: "automatic"
        case .normalized: "normalized"
        case .global: "global"
        }
    }

    /// Norms below this count as zero where they would be divided by: their squares leave the range of float32 sums.
    static let smallestNorm = 1e-18

    /// The factor for one sample, rounded down to float32 so that the product with the norm cannot exceed C by rounding.
    func factor(norm: Double, clippingNorm: Double) -> Float {
        guard norm.isFinite else { return 0 }
        let exact: Double =
            switch self {
            case .abadi: norm <= clippingNorm ? 1 : clippingNorm / norm
            case .automatic(let gamma): clippingNorm / (norm + gamma)
            case .normalized: norm < Self.smallestNorm ? 0 : clippingNorm / norm
            case .global(let bound): norm <= bound ? clippingNorm / bound : 0
            }
        let rounded = Float(exact)
        return Double(rounded) > exact ? rounded.nextDown : rounded
    }
}

/// Which parameters share one clip factor.
public enum ClippingStyle: String, Hashable, Sendable, CaseIterable {
    /// All parameters together.
    case flat
    /// One group per layer (a weight and its bias), each clipped to C / sqrt(number of groups).
    case layerWise = "layer-wise"
    /// One group per parameter, clipped to C / sqrt(number of parameters). A shared parameter is one group with all its
    /// uses.
    case parameterWise = "parameter-wise"
    /// The groups of ``ClippingOptions/groups``, each with a threshold of its own.
    case grouped
}

/// Parameters that share a clip factor, and their threshold.
public struct ClippingGroup: Hashable, Sendable {
    public var parameters: [String]
    /// C_k: the l2 norm that one sample's gradient with respect to these parameters has at most after clipping.
    public var norm: Double

    /// - Precondition: `norm` is positive and finite.
    public init(parameters: [String], norm: Double) {
        precondition(norm > 0 && norm.isFinite, "the clipping norm of a group is positive and finite")
        self.parameters = parameters
        self.norm = norm
    }
}

/// Everything that says how gradients are clipped.
public struct ClippingOptions: Hashable, Sendable {
    public var mode: ClippingMode
    public var function: ClippingFunction
    public let style: ClippingStyle
    /// C: the l2 norm that one sample's gradient has at most after clipping, over all parameters together. Infinite, with
    /// `abadi` only, where nothing is to be clipped.
    public var clippingNorm: Double
    /// The groups of the style `grouped`; their thresholds keep their ratio to C. Empty with other styles.
    public let groups: [ClippingGroup]

    /// - Precondition: `style` is not `grouped`, which comes with its groups.
    public init(
        mode: ClippingMode = .bookKeeping, function: ClippingFunction = .abadi, style: ClippingStyle = .flat,
        clippingNorm: Double = 1
    ) {
        precondition(style != .grouped, "the grouped style needs groups")
        self.mode = mode
        self.function = function
        self.style = style
        self.clippingNorm = clippingNorm
        groups = []
    }

    /// The style `grouped`, with C = sqrt(sum C_k^2).
    public init(mode: ClippingMode = .bookKeeping, function: ClippingFunction = .abadi, groups: [ClippingGroup]) {
        precondition(!groups.isEmpty, "there are no groups")
        self.mode = mode
        self.function = function
        style = .grouped
        clippingNorm = Self.norm(of: groups)
        self.groups = groups
    }

    /// sqrt(sum C_k^2).
    static func norm(of groups: [ClippingGroup]) -> Double {
        groups.reduce(0) { $0 + $1.norm * $1.norm }.squareRoot()
    }
}
